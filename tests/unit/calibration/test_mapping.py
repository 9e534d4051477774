"""A mapping says what it means or is refused, with the place, the value and the rule."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

from core.calibration.history import read_history
from core.calibration.mapping import parse_mapping
from core.errors import BadInput
from core.stages import Stage
from db.history import read_mapping, scan_table
from tests.unit.calibration.histories import MAPPING, mapping

PROJECT = Path(__file__).parents[3]
EXAMPLE = PROJECT / "examples" / "crunchbase-2013.toml"
DOCUMENTATION = PROJECT / "docs" / "how-to" / "calibration.md"


def test_the_example_validates_and_names_twelve_sectors() -> None:
    example = read_mapping(EXAMPLE)
    assert len(set(example.sectors.sector_by_category.values()) | {example.sectors.other}) == 12
    assert set(example.rounds.stage_by_type.values()) == set(Stage)


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"surprise": 1}, "mapping.surprise", "unknown key"),
        ({"companies__columns__surprise": "x"}, "mapping.companies.columns.surprise", "unknown key"),
        ({"companies__columns__status": 7}, "mapping.companies.columns.status", "must be text"),
        (
            {"companies__status": {"alive": ["x"]}},
            "mapping.companies.status.alive",
            "'operating', 'exited' or 'failed'",
        ),
        ({"companies__status": {"exited": ["x"], "failed": ["x"]}}, "mapping.companies", "repeated: 'x'"),
        ({"rounds__stages": {"D": ["d"]}}, "mapping.rounds.stages.D", "'Seed', 'A', 'B' or 'C'"),
        ({"rounds__stages": {}}, "mapping.rounds.stages", "at least 1"),
        ({"rounds__set_aside": {"a": "twice"}}, "mapping.rounds", "repeated: 'a'"),
        ({"rounds__set_aside": {"x": ""}}, "mapping.rounds.set_aside.x", "at least 1"),
        ({"sectors__categories": {"S": ["x"], "T": ["x"]}}, "mapping.sectors", "repeated: 'x'"),
        ({"sectors__categories": {" S": ["x"]}}, "mapping.sectors.categories. S", "printable"),
        ({"sectors": {"categories": {}}}, "mapping.sectors.other", "required"),
        ({"sectors": {"other": False}}, "mapping", "no company could have a sector"),
        ({"sectors__other": True}, "mapping.sectors.other", "must be the name of a sector, or false"),
        ({"rounds__stages": {"A": "a"}}, "mapping.rounds.stages.A", "must be a list"),
        ({"companies": 5}, "mapping.companies", "must be a table"),
        ({"date_formats": ["%Y"]}, "mapping.date_formats.0", "day, month and year"),
        ({"date_formats": []}, "mapping.date_formats", "at least 1"),
    ],
)
def test_a_mapping_that_breaks_a_rule_is_refused_with_its_place(changes: dict, field: str, rule: str) -> None:
    with pytest.raises(BadInput) as refused:
        mapping(**changes)
    assert any(problem.field.startswith(field) and rule in problem.rule for problem in refused.value.problems)


def test_every_broken_rule_is_listed_not_only_the_first() -> None:
    with pytest.raises(BadInput) as refused:
        parse_mapping({**MAPPING, "name": "", "surprise": 1})
    assert len(refused.value.problems) == 2


def test_a_format_with_a_time_of_day_is_a_date_format() -> None:
    assert mapping(date_formats=["%d.%m.%Y %H:%M", "%m/%d/%y"]).date_formats == ("%d.%m.%Y %H:%M", "%m/%d/%y")


def test_a_file_that_is_missing_or_no_toml_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    for path, rule in ((tmp_path / "absent.toml", "no such file"), (broken, "must be TOML")):
        with pytest.raises(BadInput, match=rule) as refused:
            read_mapping(path)
        assert str(path) in str(refused.value)


def test_the_example_history_of_the_tutorial_is_read_whole_and_has_every_stage() -> None:
    folder = EXAMPLE.parent / "history"
    companies, rounds = (scan_table(name, folder / f"{name}.csv") for name in ("companies", "rounds"))
    history = read_history(companies, rounds, read_mapping(folder / "mapping.toml"), date(2025, 12, 31))
    for rows in (history.company_rows, history.round_rows):
        assert rows.read == rows.used > 0
    assert set(history.rounds["stage"]) == {stage.value for stage in Stage}


def test_the_mapping_in_the_documentation_validates() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", DOCUMENTATION.read_text(), flags=re.DOTALL)
    assert parse_mapping(tomllib.loads(block)).rounds.unknown_stage == ("Venture", "")


def test_every_key_of_the_mapping_is_in_the_documentation() -> None:
    text = DOCUMENTATION.read_text()
    example = tomllib.loads(EXAMPLE.read_text())
    keys = {*example, *example["companies"], *example["rounds"], *example["sectors"], *MAPPING["rounds"]["columns"]}
    assert [key for key in sorted(keys | {"keep_only"}) if not re.search(rf"\b{key}\b", text)] == []
