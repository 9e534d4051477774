"""`vcfolio frontier`: a table, one JSON object, a picture; and what it refuses before anything starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from deployments.cli.frontier_view import render_frontier
from deployments.cli.main import EXIT_BAD_INPUT, run
from tests.command_line import Vcfolio
from tests.flow.cli import recalculation
from tests.request_files import REQUEST

pytestmark = pytest.mark.xdist_group("cli")

VARY = "cvarLimit=0.1,0.82,0.9"


def test_a_frontier_as_json_and_picture_with_figures_that_are_found_again(
    vcfolio: Vcfolio, write: Callable[..., str], tmp_path: Path
) -> None:
    request = write(minExpectedWinners=None)
    chart, matrix_file = tmp_path / "frontier.svg", tmp_path / "matrix.parquet"
    output, notes = vcfolio.call("frontier", request, "--vary", VARY, "--chart", str(chart), "--json")
    document = json.loads(output)
    assert f"chart: {chart}" in notes
    assert document["vary"] == {"field": "cvarLimit", "values": [0.1, 0.82, 0.9], "asked": 0.9}
    tight, middle, loose = document["points"]
    assert (tight["status"], tight["allocation"], loose["status"]) == ("infeasible", None, "optimal")
    vcfolio.call("simulate", request, "--out", str(matrix_file))
    matrix = recalculation.read_matrix(matrix_file)
    for point in (middle, loose):
        weights = [entry["weight"] for entry in point["allocation"]]
        recalculation.check_figures(point, matrix, weights, 0.0, REQUEST["totalFundSize"])
        assert point["cvar"] <= point["value"] + 1e-7
        assert point["expectedMoic"] >= point["pass1EStar"] - 1e-3 - 1e-9
        assert point["bound"] >= point["pass1EStar"]
    words = "".join(ET.parse(chart).getroot().itertext())
    for told in ("10%: no portfolio exists", "the request's limit", "expected MOIC"):
        assert told in words
    shown, _ = vcfolio.call("frontier", request, "--vary", VARY)
    for told in ("10%", "no portfolio exists", "as requested", f"{loose['pass1EStar']:.4f}x", document["matrixKey"]):
        assert told in shown


def test_what_is_open_or_unknown_is_said_under_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"expectedMoic": 2.0, "lossProbability": 0.1, "cvar": 0.3, "expectedWinners": 1.5, "pass1EStar": 2.0}
    nothing = dict.fromkeys([*figures, "bound", "gap", "allocation"])
    found = {**figures, "bound": 2.1, "gap": 0.05, "allocation": [{"bucketId": "A_AI", "weight": 1.0}]}
    document = {
        "vary": {"field": "minExpectedWinners", "values": [2.0, 1.0], "asked": 1.0},
        "points": [{"value": 2.0, "status": "unknown", **nothing}, {"value": 1.0, "status": "feasible", **found}],
        "solver": {"backend": "highs", "nodes": 7, "reproducible": False},
        "matrixKey": "matrix_v1.2_x",
    }
    render_frontier(document, Console(width=200))
    shown = capsys.readouterr().out
    for told in (
        "none was found or ruled out with minExpectedWinners at 2",
        "raise workLimit for a smaller one",
        "not reproducible",
        "as requested, gap still open",
        "5.000%",
        "A_AI 100.0%",
    ):
        assert told in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--vary", "cvarLimit=0:1"], "--vary = '0:1': must be START:STOP:COUNT"),
        (["--vary", VARY, "--vary", VARY], "must be given once"),
        (["--vary", "fundId=1,2"], "must be one of maxLossProbability"),
        (["--vary", "cvarLimit=0.5:1.5:3"], "cvarLimit = 1.5: must be at most 1"),
        (["--vary", "sectorBounds.Health.max=0.01,0.2"], "sectorBounds.Health.min = 0.05: must not exceed max (0.01)"),
        (["--vary", VARY, "--chart", "frontier.pdf"], "--chart = 'frontier.pdf': must end with .svg or .png"),
        (["--vary", VARY, "--chart", "no/where.svg"], "must lie in a directory that exists"),
    ],
)
def test_bad_input_is_refused_by_name_before_anything_starts(
    write: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["vcfolio", "frontier", write(), *options])
    assert run() == EXIT_BAD_INPUT
    output, notes = capsys.readouterr()
    assert output == ""
    assert said in notes.replace("\n", " ")


def test_limits_that_only_the_buckets_refuse_are_refused_too(vcfolio: Vcfolio, write: Callable[..., str]) -> None:
    output, notes = vcfolio.call("frontier", write(), "--vary", "bucketMaxWeight=0.1:0.5:3", code=2)
    assert output == ""
    assert "error: bucketMaxWeight = 0.1: must be at least 1/6" in notes
