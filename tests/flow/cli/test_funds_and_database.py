"""Funds and their history, the schema of a request, and the care of the database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from core.request import OptimizationRequest
from tests.command_line import Vcfolio
from tests.history_files import calibrate, write_history
from tests.request_files import REQUEST

pytestmark = pytest.mark.xdist_group("cli")


def test_a_fund_runs_on_the_calibration_of_its_own_history(
    vcfolio: Vcfolio, write: Callable[..., str], tmp_path: Path
) -> None:
    added, _ = vcfolio.call("fund", "add", "Own History")
    fund_id = added.split()[-1]
    write_history(tmp_path)
    said, _ = vcfolio.call(*calibrate(tmp_path, fund="Own History", version="own_1"))
    assert "Calibration own_1 of Own History stored." in said
    funds = {fund["name"]: fund for fund in vcfolio.json("fund", "list", "--json")}
    assert funds["Own History"]["fundId"] == fund_id
    assert "own_1" in funds["Own History"]["calibrations"]
    assert "own_1" not in funds["Example Fund"]["calibrations"]
    # Neither version nor buckets: the fund's newest, and all of its stages and sectors.
    request = write(fundId=fund_id, calibrationVersion=None, buckets=None, sectorBounds={})
    result = vcfolio.json("run", request, "--json")
    assert (result["fundId"], result["calibrationVersion"]) == (fund_id, "own_1")
    assert {entry["sector"] for entry in result["allocation"]} == {"Software", "Other"}


def test_rows_that_were_loaded_calibrate_as_their_files_do_and_both_methods_stand_side_by_side(
    vcfolio: Vcfolio, tmp_path: Path
) -> None:
    vcfolio.call("fund", "add", "Loaded First")
    write_history(tmp_path)
    command, *options = calibrate(tmp_path, fund="Loaded First", version="from_files")
    files = [part for part in options if part not in ("--fund", "Loaded First", "--version", "from_files")]
    said, _ = vcfolio.call("fund", "load", "Loaded First", *files)
    assert "Loaded: 12 companies new" in said
    report = tmp_path / "report.md"
    by_rows = (command, "--fund", "Loaded First", "--as-of", "2020-01-01", "--version", "from_rows")
    shown, _ = vcfolio.call(*by_rows, "--compare", "--report", str(report))
    assert "Both methods side by side" in shown
    assert "data:image/svg+xml;base64," in report.read_text()
    again, _ = vcfolio.call(command, *options, "--compare")
    rates = [line for line in shown.splitlines() if "survival" in line and "%" in line]
    assert len(rates) == 4
    assert [line for line in again.splitlines() if "survival" in line and "%" in line] == rates
    adopted, _ = vcfolio.call(command, "--fund", "Loaded First", "--version", "b", "--method", "industry_benchmark")
    assert "Method: industry_benchmark" in adopted


def test_members_are_added_and_listed(vcfolio: Vcfolio) -> None:
    vcfolio.call("fund", "add", "Members Only")
    shown, _ = vcfolio.call("fund", "member", "Members Only", "ann", "--role", "viewer")
    assert "viewer" in next(line for line in shown.splitlines() if "ann" in line)
    assert "owner" in next(line for line in shown.splitlines() if "local" in line)
    assert vcfolio.call("fund", "member", "Members Only")[0] == shown


def test_the_schema_documents_every_field_and_admits_the_example(vcfolio: Vcfolio) -> None:
    schema = json.loads(vcfolio.call("schema")[0])
    assert set(schema["properties"]) >= set(REQUEST)
    assert schema["additionalProperties"] is False
    undocumented = [name for name, field in schema["properties"].items() if not field.get("description")]
    assert (undocumented, len(schema["properties"])) == ([], len(OptimizationRequest.model_fields))
