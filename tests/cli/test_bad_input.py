"""Bad input: exit code 2, a message that names field, value and rule, nothing on standard output, nothing stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import CommandLine

pytestmark = pytest.mark.xdist_group("cli-bad-input")

BOOM = {"name": "boom", "probability": 0.5, "shockRanges": {"min": 0, "max": 1}}
BUST = {"name": "bust", "probability": 0.4, "shockRanges": {"min": -1, "max": 0}}

CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({"surprise": 1}, ["surprise", "1"]),
    ({"calibrationVersion": "none-such"}, ["calibrationVersion", "none-such"]),
    ({"calibrationVersion": None}, ["calibrationVersion", "no calibration of its own"]),
    ({"fundId": "00000000-0000-4000-8000-00000000dead"}, ["fundId", "dead"]),
    ({"scenarioGenConfig": {"regimeConfig": {"regimes": [BOOM, BUST]}}}, ["regimes", "0.9", "1"]),
    ({"bucketMaxWeight": 0.1}, ["bucketMaxWeight", "0.1", "6"]),
    ({"sectorBounds": {"AI": {"min": 0.75}, "Health": {"min": 0.5}}}, ["sectorBounds", "1.25"]),
    ({"buckets": [{"stage": "Seed", "sector": "AI", "medianMoic": 3, "p90Moic": 2}], "sectorBounds": {}}, ["p90", "2"]),
    ({"buckets": [{"stage": "D", "sector": "AI"}]}, ["stage", "D"]),
    ({"maxLossProbability": 1.5}, ["maxLossProbability", "1.5"]),
    ({"totalFundSize": True}, ["totalFundSize", "True"]),
]


@pytest.mark.parametrize(
    ("changes", "named"), CASES, ids=[str(sorted(changes)) + named[-1] for changes, named in CASES]
)
def test_a_request_that_breaks_a_rule_is_refused_before_anything_is_stored(
    vcfolio: CommandLine, write: Callable[..., str], changes: dict[str, Any], named: list[str]
) -> None:
    output, notes = vcfolio.call("simulate", write(**changes), "--out", "/tmp/never-written.parquet", code=2)
    assert output == ""
    assert "Traceback" not in notes
    for word in named:
        assert word in notes
    assert not Path("/tmp/never-written.parquet").exists()


def test_run_refuses_bad_input_too_and_stores_no_session(vcfolio: CommandLine, write: Callable[..., str]) -> None:
    output, notes = vcfolio.call("run", write(bucketMaxWeight=0.1), "--json", code=2)
    assert output == ""
    assert "bucketMaxWeight" in notes
    assert vcfolio.json("db", "info", "--json")["rows"]["optimization_sessions"] == 0


def test_broken_json_and_missing_files_are_named(vcfolio: CommandLine, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"fundId": ')
    assert "line 1" in vcfolio.call("run", str(broken), code=2)[1]
    assert "missing.json" in vcfolio.call("run", str(tmp_path / "missing.json"), code=2)[1]


COMPANIES = "company_id,name,category,status_2013_10,founded_at\n"
COMPANY = COMPANIES + "c1,One,software,operating,2009-01-01\n"
ROUNDS = "company_id,round_type,funded_at,raised_usd\n"
HISTORY = {
    "an empty history": (COMPANIES, ROUNDS),
    "a wrong column": (COMPANY.replace("company_id", "key"), ROUNDS + "c1,angel,2010-01-01,1\n"),
    "a date that is none": (COMPANY, ROUNDS + "c1,angel,2010-13-01,1\n"),
    "a negative amount": (COMPANY, ROUNDS + "c1,angel,2010-01-01,-5\n"),
}


@pytest.mark.parametrize("wrong", HISTORY)
def test_a_history_that_is_wrong_is_refused_whole(vcfolio: CommandLine, tmp_path: Path, wrong: str) -> None:
    for name, content in zip(("companies.csv", "rounds.csv"), HISTORY[wrong], strict=True):
        (tmp_path / name).write_text(content)
    mapping = Path(__file__).parents[2] / "examples" / "crunchbase-2013.toml"
    output, notes = vcfolio.call(
        *("calibrate", "--fund", "Example Fund", "--companies", str(tmp_path / "companies.csv")),
        *("--rounds", str(tmp_path / "rounds.csv"), "--as-of", "2013-10-31", "--mapping", str(mapping)),
        *("--version", "never"),
        code=2,
    )
    assert output == ""
    assert notes.startswith("error: ")
    rows = vcfolio.json("db", "info", "--json")["rows"]
    assert (rows["portfolio_companies"], rows["calibration_snapshots"]) == (0, 1)


def test_unknown_ids_and_bad_usage_end_with_exit_code_2(vcfolio: CommandLine) -> None:
    assert "no session has this id" in vcfolio.call("status", "00000000-0000-4000-8000-00000000dead", code=2)[1]
    assert "session_id" in vcfolio.call("result", "not-an-id", code=2)[1]
    assert "--role" in vcfolio.call("fund", "member", "Example Fund", "ann", "--role", "king", code=2)[1]
    assert "no fund" in vcfolio.call("fund", "member", "No Such Fund", code=2)[1]
