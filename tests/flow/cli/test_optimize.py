"""`vcfolio optimize`: a matrix from a file and a request, nothing else: no database, no Prefect, no home."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deployments.cli.main import EXIT_BAD_INPUT, run
from tests.command_line import CommandLineInProcess, Vcfolio
from tests.flow.cli import recalculation
from tests.request_files import REQUEST

pytestmark = pytest.mark.xdist_group("cli")

LIMITS = {
    "fundId": REQUEST["fundId"],
    "totalFundSize": 10_000_000,
    "maxLossProbability": 0.35,
    "cvarLimit": 0.8,
    "bucketMaxWeight": 0.6,
}


@pytest.fixture
def homeless(tmp_path: Path) -> CommandLineInProcess:
    """The command line on a machine where nothing is set up."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    return CommandLineInProcess(tmp_path / "no-home", elsewhere, prefect_api=None)


def columns(n_scenarios: int = 40, precision: type = np.float32) -> dict[str, Any]:
    """Three buckets of somebody's own, out of order, without anything of vcfolio's beside them."""
    rng = np.random.Generator(np.random.Philox(7))
    exits = rng.random((3, n_scenarios)) < np.array([[0.9], [0.4], [0.6]])
    moic = np.where(exits, rng.pareto(2.0, (3, n_scenarios)) + 1.1, 0.2).astype(precision)
    return {
        "key": ["Seed_AI", "A_AI", "Seed_Bio"],
        "stage": ["Seed", "A", "Seed"],
        "sector": ["AI", "AI", "Bio"],
        "initial_check_usd": [1e6, 2e6, 1e6],
        "reserve_ratio": [0.5, 0.0, 1.0],
        "win_probability": [0.05, 0.1, 0.02],
        "moic": list(moic),
    }


def write_files(directory: Path, own: dict[str, Any], **request: Any) -> list[str]:
    """The arguments that name both files."""
    pq.write_table(pa.table(own), directory / "own.parquet")
    (directory / "limits.json").write_text(json.dumps(LIMITS | request))
    return ["--matrix", str(directory / "own.parquet"), "--request", str(directory / "limits.json")]


def test_on_the_matrix_of_a_run_it_finds_the_portfolio_of_the_run_to_the_bit(
    vcfolio: Vcfolio, answer: Any, homeless: CommandLineInProcess, write: Callable[..., str], tmp_path: Path
) -> None:
    ran = answer
    matrix = str(tmp_path / "matrix.parquet")
    vcfolio.call("simulate", write(), "--out", matrix)
    found = homeless.json("optimize", "--matrix", matrix, "--request", write(), "--json")
    for same in ("allocation", "constraints", "relaxations", "conflict", "expectedMoic", "cvar", "pass1EStar"):
        assert json.dumps(found[same], sort_keys=True) == json.dumps(ran[same], sort_keys=True), same
    assert found["matrix"] == {"buckets": 6, "scenarios": 130, "matrixKey": ran["matrixKey"]}
    assert found["calibrationVersion"] == REQUEST["calibrationVersion"]
    assert not homeless.home.exists()


def test_a_matrix_of_ones_own_needs_nothing_of_vcfolios_and_its_figures_are_found_again(
    homeless: CommandLineInProcess, tmp_path: Path
) -> None:
    files = write_files(tmp_path, columns())
    found = homeless.json("optimize", *files, "--backend", "highs", "--json")
    rows = sorted(recalculation.read_matrix(tmp_path / "own.parquet").rows, key=lambda row: row["key"])
    matrix = recalculation.Matrix(rows)
    recalculation.check_allocation(found, matrix, LIMITS)
    recalculation.check_solver(found, matrix)
    solver = found["solver"]
    assert (solver["backend"], solver["status"]) == ("highs", "optimal")
    assert solver["pass1Seconds"] > 0
    assert solver["pass2Seconds"] > 0
    assert solver["uniquenessSeconds"] > 0
    assert {"gap", "bound", "nodes"} <= solver.keys()
    shown, notes = homeless.call("optimize", *files)
    for told in (
        "Allocation",
        "expected MOIC",
        "one more losing scenario",
        "proven bound",
        "equal weights",
        "not tested on scenarios other than",
    ):
        assert told in shown
    assert "note:" not in notes


def test_what_is_not_taken_literally_is_said(homeless: CommandLineInProcess, tmp_path: Path) -> None:
    files = write_files(tmp_path, columns(precision=np.float64), scenarioGenConfig={"winnerMultiple": 5})
    _, notes = homeless.call("optimize", *files, "--json")
    assert "scenarioGenConfig of the request are not read" in notes
    assert "rounded to single precision" in notes


def test_with_relaxation_off_the_conflict_is_explained(homeless: CommandLineInProcess, tmp_path: Path) -> None:
    files = write_files(tmp_path, columns(), relaxationMode="off", minExpectedWinners=1, maxLossProbability=0.0)
    output, notes = homeless.call("optimize", *files, "--json", code=1)
    assert output == ""
    assert "error (infeasible): no portfolio has" in notes
    assert "No portfolio" in notes
    assert "your limit was" in notes


def damaged(**changes: Any) -> dict[str, Any]:
    own = columns() | changes
    return {name: values for name, values in own.items() if values is not None}


def with_entry(value: float) -> list[Any]:
    moic = columns()["moic"]
    moic[1][3] = value
    return moic


FILES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a NaN": (damaged(moic=with_entry(float("nan"))), ["moic[A_AI][3]", "nan", "must be a number"]),
    "an infinity": (damaged(moic=with_entry(float("inf"))), ["moic[A_AI][3]", "inf", "must be finite"]),
    "a negative multiple": (damaged(moic=with_entry(-0.25)), ["moic[A_AI][3]", "-0.25", "must be at least 0"]),
    "zero scenarios": (damaged(moic=[np.zeros(0, np.float32)] * 3), ["moic[Seed_AI]", "[]", "zero scenarios"]),
    "no buckets": ({name: pa.array([], pa.table(columns()).schema.field(name).type) for name in columns()}, ["matrix"]),
    "no win probability": (damaged(win_probability=None), ["--matrix", "column win_probability (numbers) is missing"]),
    "a missing value": (damaged(sector=["AI", None, "Bio"]), ["sector", "None", "must have a value in every row"]),
    "a missing multiple": (
        damaged(moic=pa.array([[1.0], [None], [2.0]], pa.list_(pa.float32()))),
        ["moic[A_AI]", "must have a number in every scenario"],
    ),
    "text for multiples": (damaged(moic=["a", "b", "c"]), ["moic", "string", "lists of multiples"]),
    "numbers for names": (damaged(stage=[1, 2, 3]), ["stage", "int64", "must be a column of text"]),
}


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What `vcfolio optimize` says of bad input; in this process, for it is quicker."""

    def call(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["vcfolio", "optimize", *arguments])
        assert run() == EXIT_BAD_INPUT
        output, notes = capsys.readouterr()
        assert output == ""
        return notes

    return call


@pytest.mark.parametrize("wrong", FILES)
def test_a_file_that_is_no_matrix_is_refused_by_name(refusal: Callable[..., str], tmp_path: Path, wrong: str) -> None:
    own, named = FILES[wrong]
    notes = refusal(*write_files(tmp_path, own), "--json")
    assert notes.startswith("error: ")
    assert [word for word in named if word not in notes] == []


REQUESTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an unknown bucket in a bound": ({"stageBounds": {"C": {"max": 0.5}}}, ["stageBounds.C", "no bucket is there"]),
    "crossed bounds": ({"sectorBounds": {"AI": {"min": 0.5, "max": 0.2}}}, ["sectorBounds.AI.min", "must not exceed"]),
    "a limit outside 0 to 1": ({"cvarLimit": 1.5}, ["cvarLimit", "1.5", "must be at most 1"]),
    "a cap below one share": ({"bucketMaxWeight": 0.2}, ["bucketMaxWeight", "0.2", "1/3"]),
    "minima above 1": (
        {"sectorBounds": {"AI": {"min": 0.7}, "Bio": {"min": 0.4}}},
        ["sectorBounds", "1.1", "sum of the minima (AI 0.7, Bio 0.4)"],
    ),
}


@pytest.mark.parametrize("wrong", REQUESTS)
def test_a_request_that_does_not_fit_is_refused_by_name(
    refusal: Callable[..., str], tmp_path: Path, wrong: str
) -> None:
    changes, named = REQUESTS[wrong]
    notes = refusal(*write_files(tmp_path, columns(), **changes))
    assert [word for word in named if word not in notes] == []


def test_files_and_backends_that_are_none_are_named(refusal: Callable[..., str], tmp_path: Path) -> None:
    matrix, request = write_files(tmp_path, columns())[1::2]
    for arguments, said in (
        (["--matrix", "none.parquet", "--request", request], "no such file"),
        (["--matrix", request, "--request", request], "cannot be read as Parquet"),
        (["--matrix", matrix, "--request", "none.json"], "REQUEST = 'none.json'"),
        (["--matrix", matrix, "--request", request, "--backend", "best"], "--backend = 'best': must be one of auto"),
    ):
        assert said in refusal(*arguments)
