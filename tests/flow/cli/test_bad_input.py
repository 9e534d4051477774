"""Bad input: exit code 2, a message that names field, value and rule, nothing on standard output, nothing stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from db.engine import transaction
from tests.command_line import Vcfolio, refusal
from tests.history_files import calibrate, write_history

pytestmark = pytest.mark.xdist_group("cli")

STRANGER = "00000000-0000-4000-8000-00000000dead"
BOOM = {"name": "boom", "probability": 0.5, "shockRanges": {"min": 0, "max": 1}}
BUST = {"name": "bust", "probability": 0.4, "shockRanges": {"min": -1, "max": 0}}

REQUESTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an unknown key": ({"surprise": 17}, ["surprise", "17"]),
    "an unknown calibration": ({"calibrationVersion": "none-such"}, ["calibrationVersion", "none-such", "must be one"]),
    "no calibration": ({"calibrationVersion": None}, ["calibrationVersion", "no calibration of its own"]),
    "an unknown fund": ({"fundId": STRANGER}, ["fundId", STRANGER, "no fund has this id"]),
    "probabilities that do not sum to 1": (
        {"scenarioGenConfig": {"regimeConfig": {"regimes": [BOOM, BUST]}}},
        ["scenarioGenConfig.regimeConfig.regimes", "0.9", "must be 1"],
    ),
    "a maximum below one share": ({"bucketMaxWeight": 0.1}, ["bucketMaxWeight", "0.1", "1/6"]),
    "minima above 1": (
        {"sectorBounds": {"AI": {"min": 0.75}, "Health": {"min": 0.5}}},
        ["sectorBounds", "1.25", "must not exceed 1"],
    ),
    "p90 not above the median": (
        {"buckets": [{"stage": "Seed", "sector": "AI", "medianMoic": 3, "p90Moic": 3}], "sectorBounds": {}},
        ["buckets[0].p90Moic", "3", "must exceed"],
    ),
    "an unknown stage": ({"buckets": [{"stage": "D", "sector": "AI"}]}, ["buckets[0].stage", "'D'", "must be"]),
}


@pytest.fixture(autouse=True)
def nothing_is_written(database: Engine) -> Iterator[None]:
    """No row of any kind may be there that was not there before."""
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"

    def counts() -> dict[str, int]:
        with transaction(database) as conn:
            return {name: conn.scalar(text(f"SELECT count(*) FROM {name}")) for name in conn.scalars(text(tables))}

    before = counts()
    yield
    assert counts() == before


@pytest.mark.parametrize("wrong", REQUESTS)
def test_a_request_that_breaks_a_rule_is_refused(vcfolio: Vcfolio, write: Callable[..., str], wrong: str) -> None:
    changes, named = REQUESTS[wrong]
    notes = refusal(vcfolio, "run", write(**changes), "--json")
    assert [word for word in named if word not in notes] == []


def test_every_problem_of_a_request_is_named_at_once(vcfolio: Vcfolio, write: Callable[..., str]) -> None:
    notes = refusal(vcfolio, "run", write(bucketMaxWeight=0.1, sectorBounds={"Space": {"max": 0.5}}), "--json")
    assert "bucketMaxWeight" in notes
    assert "sectorBounds.Space" in notes


def test_simulate_writes_no_file_for_a_bad_request(vcfolio: Vcfolio, write: Callable[..., str], tmp_path: Path) -> None:
    refusal(vcfolio, "simulate", write(bucketMaxWeight=0.1), "--out", str(tmp_path / "matrix.parquet"))
    assert [path.name for path in tmp_path.iterdir()] == ["request.json"]


def test_a_file_that_is_no_request_is_named(vcfolio: Vcfolio, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"fundId": \n "totalFundSize" 1}')
    assert "is not JSON" in (notes := refusal(vcfolio, "run", str(broken)))
    assert "line 2, column 18" in notes
    assert "missing.json" in refusal(vcfolio, "run", str(tmp_path / "missing.json"))


def test_verbose_adds_the_stack_trace(vcfolio: Vcfolio, tmp_path: Path) -> None:
    _, notes = vcfolio.call("run", str(tmp_path / "missing.json"), "--verbose", code=2)
    assert "Traceback" in notes
    assert "missing.json" in notes


@pytest.mark.parametrize("command", [["status"], ["result"], ["run", "--resume"]])
def test_an_unknown_session_is_named(vcfolio: Vcfolio, command: list[str]) -> None:
    notes = refusal(vcfolio, *command, STRANGER)
    assert STRANGER in notes
    assert "no session has this id" in notes


@pytest.mark.parametrize("command", [["status"], ["run", "--resume"]])
def test_an_id_that_is_none_is_named(vcfolio: Vcfolio, command: list[str]) -> None:
    notes = refusal(vcfolio, *command, "not-an-id")
    assert [word for word in ("SESSION_ID", "not-an-id", "must be a UUID") if word not in notes] == []


HISTORIES = {
    "an empty history": ({"companies": [], "rounds": []}, ["companies"]),
    "a wrong column": ({"company_columns": "key,name,category,status"}, ["id", "key"]),
    "a date that is none": ({"rounds": ["c1,seed,2010-13-01,1"]}, ["2010-13-01", "day"]),
    "a negative amount": ({"rounds": ["c1,seed,2010-01-01,-5"]}, ["-5", "usd"]),
}


@pytest.mark.parametrize("wrong", HISTORIES)
def test_a_history_that_is_wrong_is_refused_whole(vcfolio: Vcfolio, tmp_path: Path, wrong: str) -> None:
    changes, named = HISTORIES[wrong]
    write_history(tmp_path, **changes)
    notes = refusal(vcfolio, *calibrate(tmp_path, fund="Example Fund", version="never"))
    assert [word for word in named if word not in notes] == []


def test_a_history_of_nobodys_fund_is_refused(vcfolio: Vcfolio, tmp_path: Path) -> None:
    write_history(tmp_path)
    assert "No Such Fund" in refusal(vcfolio, *calibrate(tmp_path, fund="No Such Fund", version="never"))


def test_a_calibration_that_cannot_be_is_refused_by_name(vcfolio: Vcfolio) -> None:
    asked = ("calibrate", "--fund", "Example Fund", "--version", "never", "--as-of", "2020-01-01")
    assert "the fund has no companies yet" in refusal(vcfolio, *asked)
    notes = refusal(vcfolio, *asked, "--horizon-months", "40")
    assert "horizonMonths = 40.0: must be above dormantAfterMonths (48)" in " ".join(notes.split())
