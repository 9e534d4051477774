"""The whole: files in, a snapshot and the fund's history stored in one transaction, everything said that was done."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import Connection, Engine, text

from core.calibration.snapshot import CalibrationSnapshot
from core.errors import BadInput, Conflict, NotFound
from core.stages import Stage
from db.benchmarks import shipped_benchmarks
from db.calibrations import load_snapshot, store_snapshot
from db.engine import transaction
from db.funds import EXAMPLE_FUND_ID
from deployments.cli.calibrate_command import CalibrateArguments, CalibrationSummary, calibrate, render_calibration
from tests.calibration.histories import MAPPING_FILE, companies, rounds

PROJECT = Path(__file__).parents[2]
REAL_HISTORY = PROJECT.parent / "shared" / "data"

Begin = Callable[[], AbstractContextManager[Connection]]


@pytest.fixture
def begin(engine: Engine) -> Begin:
    with transaction(engine) as conn:
        for benchmark in shipped_benchmarks():
            store_snapshot(conn, benchmark, None)
    return lambda: transaction(engine)


@pytest.fixture
def arguments(tmp_path: Path) -> CalibrateArguments:
    companies("c1 One saas sold\n c2 Two - alive").write_csv(tmp_path / "companies.csv")
    rounds("c1 seed 2010-01-01\n c1 a 2012-01-01\n c2 seed 2011-01-01").write_csv(tmp_path / "rounds.csv")
    (tmp_path / "mapping.toml").write_text(MAPPING_FILE)
    return CalibrateArguments(
        fund=str(EXAMPLE_FUND_ID),
        companies=tmp_path / "companies.csv",
        rounds=tmp_path / "rounds.csv",
        mapping=tmp_path / "mapping.toml",
        as_of=date(2020, 1, 1),
        version="ours",
    )


def stored_counts(begin: Begin) -> tuple[int, int, int]:
    with begin() as conn:
        return tuple(
            conn.scalar(text(f"SELECT count(*) FROM {table}"))
            for table in ("portfolio_companies", "investments", "calibration_snapshots")
        )


def printed(summary: CalibrationSummary) -> str:
    console = Console(file=io.StringIO(), width=160)
    render_calibration(summary, console)
    return console.file.getvalue()


def test_history_and_snapshot_are_stored_and_the_summary_says_what_was_done(
    begin: Begin, arguments: CalibrateArguments
) -> None:
    summary = calibrate(begin, arguments)
    assert stored_counts(begin) == (2, 3, 1 + len(shipped_benchmarks()))
    with begin() as conn:
        assert load_snapshot(conn, "ours") == summary.snapshot
    seed = summary.snapshot.transition_stats[Stage.SEED]
    assert (seed.graduate_rate, seed.failure_rate) == (0.5, 0.5)
    said = printed(summary)
    for expected in (
        "Software",
        "1 (50.0%)",
        "us_venture_2004_2013",
        "failure rates are too high",
        "ours",
        "stage B, C",
    ):
        assert expected in said


def test_the_same_again_is_stored_once(begin: Begin, arguments: CalibrateArguments) -> None:
    assert calibrate(begin, arguments).is_new
    before = stored_counts(begin)
    again = calibrate(begin, arguments)
    assert not again.is_new
    assert "stored already" in printed(again)
    assert stored_counts(begin) == before


def test_a_version_with_other_content_is_a_conflict_and_nothing_is_written(
    begin: Begin, arguments: CalibrateArguments
) -> None:
    calibrate(begin, arguments)
    before = stored_counts(begin)
    rounds("c1 seed 2010-01-01").write_csv(arguments.rounds)
    with pytest.raises(Conflict, match="ours"):
        calibrate(begin, arguments)
    assert stored_counts(begin) == before


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"fund": "nobody's"}, NotFound, "nobody's"),
        ({"benchmark": "unheard_of"}, NotFound, "unheard_of"),
        ({"version": ""}, BadInput, "1 to 100"),
        ({"version": "v" * 101}, BadInput, "1 to 100"),
        ({"companies": Path("absent.csv")}, BadInput, "no such file"),
        ({"rounds": Path("absent.csv")}, BadInput, "no such file"),
        ({"mapping": Path("absent.toml")}, BadInput, "no such file"),
        ({"as_of": date(2000, 1, 1)}, BadInput, "no round is left"),
    ],
)
def test_bad_input_writes_nothing(
    change: dict, error: type[BadInput], message: str, begin: Begin, arguments: CalibrateArguments
) -> None:
    before = stored_counts(begin)
    with pytest.raises(error, match=message):
        calibrate(begin, replace(arguments, **change))
    assert stored_counts(begin) == before


def test_a_failure_after_the_load_writes_nothing(begin: Begin, arguments: CalibrateArguments) -> None:
    @contextmanager
    def broken() -> AbstractContextManager[Connection]:
        with begin() as conn:
            yield conn
            raise ConnectionError

    before = stored_counts(begin)
    with pytest.raises(ConnectionError):
        calibrate(broken, arguments)
    assert stored_counts(begin) == before


def real_history_calibration(begin: Begin) -> CalibrationSummary:
    if not REAL_HISTORY.is_dir():
        pytest.skip(f"the real history is not at {REAL_HISTORY}")
    return calibrate(
        begin,
        CalibrateArguments(
            fund=str(EXAMPLE_FUND_ID),
            companies=REAL_HISTORY / "companies_us_2013.csv",
            rounds=REAL_HISTORY / "rounds_us_2013.csv",
            mapping=PROJECT / "examples" / "crunchbase-2013.toml",
            as_of=date(2013, 10, 31),
            version="crunchbase_2013",
        ),
    )


def test_the_real_history_becomes_a_snapshot_of_four_stages_and_twelve_sectors(begin: Begin) -> None:
    summary = real_history_calibration(begin)
    history, snapshot = summary.history, summary.snapshot
    assert (history.company_rows.read, history.round_rows.read) == (17_727, 31_679)
    assert summary.loaded.companies_inserted == history.company_rows.used
    assert summary.loaded.rounds_loaded == history.round_rows.used
    assert set(snapshot.transition_stats) == set(Stage)
    assert len(snapshot.sectors) == 12
    assert sum(snapshot.sectors.values()) == snapshot.sample_size
    assert all(timing.months_start <= timing.months_mid <= timing.months_end for timing in summary.timings)
    assert all(timing.dated == 0 for timing in summary.timings)
    assert CalibrationSnapshot.model_validate_json(snapshot.model_dump_json()) == snapshot
    documented = (PROJECT / "docs" / "calibration.md").read_text()
    figures = [history.round_rows.used, *history.round_rows.set_aside.values(), *snapshot.sample_sizes.values()]
    assert [figure for figure in figures if f"{figure:,}" not in documented] == []
