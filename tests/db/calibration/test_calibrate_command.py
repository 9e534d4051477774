"""The whole: files in, a snapshot and the fund's history stored in one transaction, everything said that was done."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import Connection, Engine, text

from core.calibration.snapshot import CalibrationMethod, CalibrationSnapshot
from core.calibration.tables import calibration_tables
from core.errors import BadInput, Conflict, NotFound
from core.stages import Stage
from db.calibrate import CalibrationOrder, CalibrationOutcome, HistoryFiles, calibrate
from db.calibrations import load_snapshot, store_snapshot
from db.engine import transaction
from db.funds import EXAMPLE_FUND_ID
from db.reference_calibrations import DEFAULT_REFERENCE, reference_calibrations
from deployments.cli.calibrate_command import render_outcome
from tests.unit.calibration.histories import MAPPING_FILE, companies, rounds

PROJECT = Path(__file__).parents[3]
REAL_HISTORY = PROJECT.parent / "shared" / "data"

Begin = Callable[[], AbstractContextManager[Connection]]


@pytest.fixture
def begin(engine: Engine) -> Begin:
    with transaction(engine) as conn:
        for reference in reference_calibrations():
            store_snapshot(conn, reference, None)
    return lambda: transaction(engine)


@pytest.fixture
def order(tmp_path: Path) -> CalibrationOrder:
    companies("c1 One saas sold\n c2 Two - alive").write_csv(tmp_path / "companies.csv")
    rounds("c1 seed 2010-01-01\n c1 a 2012-01-01\n c2 seed 2011-01-01").write_csv(tmp_path / "rounds.csv")
    (tmp_path / "mapping.toml").write_text(MAPPING_FILE)
    return CalibrationOrder(
        fund=str(EXAMPLE_FUND_ID),
        version="ours",
        as_of=date(2020, 1, 1),
        files=HistoryFiles(tmp_path / "companies.csv", tmp_path / "rounds.csv", tmp_path / "mapping.toml"),
        method="simple_cohort",
    )


def stored_counts(begin: Begin) -> tuple[int, int, int]:
    with begin() as conn:
        return tuple(
            conn.scalar(text(f"SELECT count(*) FROM {table}"))
            for table in ("portfolio_companies", "investments", "calibration_snapshots")
        )


def printed(summary: CalibrationOutcome) -> str:
    console = Console(file=io.StringIO(), width=160)
    render_outcome(summary, console, compare=False)
    return console.file.getvalue()


def test_history_and_snapshot_are_stored_and_the_summary_says_what_was_done(
    begin: Begin, order: CalibrationOrder
) -> None:
    summary = calibrate(begin, order)
    assert stored_counts(begin) == (2, 3, 1 + len(reference_calibrations()))
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


def test_the_same_again_is_stored_once(begin: Begin, order: CalibrationOrder) -> None:
    assert calibrate(begin, order).is_new
    before = stored_counts(begin)
    again = calibrate(begin, order)
    assert not again.is_new
    assert "stored already" in printed(again)
    assert stored_counts(begin) == before


def test_a_version_with_other_content_is_a_conflict_and_nothing_is_written(
    begin: Begin, order: CalibrationOrder
) -> None:
    calibrate(begin, order)
    before = stored_counts(begin)
    rounds("c1 seed 2010-01-01").write_csv(order.files.rounds)
    with pytest.raises(Conflict, match="ours"):
        calibrate(begin, order)
    assert stored_counts(begin) == before


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"fund": "nobody's"}, NotFound, "nobody's"),
        ({"reference": "unheard_of"}, NotFound, "unheard_of"),
        ({"version": ""}, BadInput, "1 to 100"),
        ({"version": "v" * 101}, BadInput, "1 to 100"),
        ({"as_of": date(2000, 1, 1)}, BadInput, "no round is left"),
        ({"as_of": None}, BadInput, "asOf = None: must be given"),
        ({"files": None}, BadInput, "the fund has no companies yet"),
        ({"method": "industry_benchmark"}, BadInput, "asOf = .*\\n.*files = .*must be left out"),
    ],
)
def test_bad_input_writes_nothing(
    change: dict, error: type[BadInput], message: str, begin: Begin, order: CalibrationOrder
) -> None:
    before = stored_counts(begin)
    with pytest.raises(error, match=message):
        calibrate(begin, replace(order, **change))
    assert stored_counts(begin) == before


@pytest.mark.parametrize("absent", ["companies", "rounds", "mapping"])
def test_a_file_that_is_not_there_is_named_and_nothing_is_written(
    absent: str, begin: Begin, order: CalibrationOrder
) -> None:
    before = stored_counts(begin)
    with pytest.raises(BadInput, match=f"{absent} file = 'absent.csv': no such file"):
        calibrate(begin, replace(order, files=replace(order.files, **{absent: Path("absent.csv")})))
    assert stored_counts(begin) == before


def test_a_failure_after_the_load_writes_nothing(begin: Begin, order: CalibrationOrder) -> None:
    @contextmanager
    def broken() -> AbstractContextManager[Connection]:
        with begin() as conn:
            yield conn
            raise ConnectionError

    before = stored_counts(begin)
    with pytest.raises(ConnectionError):
        calibrate(broken, order)
    assert stored_counts(begin) == before


def test_a_benchmark_becomes_the_funds_own_snapshot_with_its_sources(begin: Begin, order: CalibrationOrder) -> None:
    outcome = calibrate(begin, replace(order, method="industry_benchmark", files=None, as_of=None))
    (reference,) = [one for one in reference_calibrations() if one.version == DEFAULT_REFERENCE]
    assert (outcome.calibration, outcome.loaded) == (None, None)
    assert outcome.snapshot.benchmark_version == reference.version
    named = {"version": "ours", "benchmark_version": reference.version, "fitted_for": reference.fitted_for}
    unchanged = reference.model_copy(update=named)
    with begin() as conn:
        assert load_snapshot(conn, "ours") == unchanged
    assert "Calibration ours" in printed(outcome)
    again = replace(order, method="industry_benchmark", files=None, as_of=None, reference="ours", version="twice")
    assert calibrate(begin, again).snapshot.transition_stats == reference.transition_stats


def test_a_snapshot_made_of_a_history_is_no_benchmark_to_adopt(begin: Begin, order: CalibrationOrder) -> None:
    calibrate(begin, order)
    with pytest.raises(BadInput, match="reference = 'ours': must be a reference calibration"):
        calibrate(begin, replace(order, method="industry_benchmark", files=None, as_of=None, reference="ours"))


def test_the_funds_rows_calibrate_as_the_files_did(begin: Begin, order: CalibrationOrder, tmp_path: Path) -> None:
    companies(
        "c1 One saas sold\n c2 Two - alive\n c3 Three biotech sold\n c4 Four saas alive\n c5 Five - alive"
    ).write_csv(tmp_path / "companies.csv")
    rounds(
        "c1 seed 2010-01-01\n c1 a 2012-01-01\n c2 seed 2011-01-01\n c3 b 2013-01-01\n c4 seed 2018-01-01\n"
        "c4 venture 2019-01-01\n c5 a 2012-01-01\n c5 seed 2013-01-01"
    ).write_csv(tmp_path / "rounds.csv")
    for method in ("survival", "simple_cohort"):
        by_files = calibrate(begin, replace(order, method=method, version=f"files {method}"))
        by_rows = calibrate(begin, replace(order, method=method, version=f"rows {method}", files=None))
        unlike = {"version", "provenance"}
        assert by_rows.snapshot.model_dump(exclude=unlike) == by_files.snapshot.model_dump(exclude=unlike)
        figures = {"transition_stats", "sector_multipliers"}
        for name in figures:
            assert by_rows.snapshot.provenance[name] == by_files.snapshot.provenance[name]
        assert by_rows.loaded is None
        assert by_rows.snapshot.provenance["rows"]["rounds"] == {"read": 6, "used": 6, "set_aside": {}}


def test_rows_know_nothing_before_the_day_they_were_followed_to_and_are_censored_on_it_later(
    begin: Begin, order: CalibrationOrder
) -> None:
    calibrate(begin, order)
    with pytest.raises(BadInput, match="asOf = '2019-12-31': must not be before 2020-01-01: a company was followed"):
        calibrate(begin, replace(order, files=None, version="early", as_of=date(2019, 12, 31)))
    same, later = (
        calibrate(begin, replace(order, files=None, version=f"v{day.year}", as_of=day, method="survival"))
        for day in (date(2020, 1, 1), date(2030, 1, 1))
    )
    assert later.snapshot.transition_stats == same.snapshot.transition_stats


def real_history_calibration(begin: Begin, method: CalibrationMethod) -> CalibrationOutcome:
    if not REAL_HISTORY.is_dir():
        pytest.skip(f"the real history is not at {REAL_HISTORY}")
    files = HistoryFiles(
        REAL_HISTORY / "companies_us_2013.csv",
        REAL_HISTORY / "rounds_us_2013.csv",
        PROJECT / "examples" / "crunchbase-2013.toml",
    )
    order = CalibrationOrder(
        fund=str(EXAMPLE_FUND_ID),
        version="crunchbase_2013",
        as_of=date(2013, 10, 31),
        files=files,
        method=method,
        compare=True,
    )
    return calibrate(begin, order)


def documented(figures: Iterable[str]) -> list[str]:
    """Those that the documentation does not show."""
    text_of_docs = (PROJECT / "benchmarks" / "results" / "calibration.md").read_text()
    return [figure for figure in figures if figure not in text_of_docs]


def test_the_real_history_by_simple_cohort_is_as_documented(begin: Begin) -> None:
    outcome = real_history_calibration(begin, "simple_cohort")
    calibration, snapshot = outcome.calibration, outcome.snapshot
    history = calibration.history
    assert (history.company_rows.read, history.round_rows.read) == (17_727, 31_679)
    assert outcome.loaded.companies_inserted == history.company_rows.used
    assert outcome.loaded.rounds_loaded == history.round_rows.used
    assert set(snapshot.transition_stats) == set(Stage)
    assert len(snapshot.sectors) == 12
    assert sum(snapshot.sectors.values()) == snapshot.sample_size
    assert all(timing.months_start <= timing.months_mid <= timing.months_end for timing in calibration.timings)
    assert all(timing.dated == 0 for timing in calibration.timings)
    assert CalibrationSnapshot.model_validate_json(snapshot.model_dump_json()) == snapshot
    figures = [history.round_rows.used, *history.round_rows.set_aside.values(), *snapshot.sample_sizes.values()]
    assert documented(f"{figure:,}" for figure in figures) == []


def test_the_real_history_by_survival_is_as_documented_and_undoes_the_bias_of_the_silent(begin: Begin) -> None:
    calibration = real_history_calibration(begin, "survival").calibration
    *_, comparison, sectors = calibration_tables(calibration, compare=True)
    for stage, counts in calibration.counts.items():
        used = calibration.snapshot.transition_stats[stage]
        assert used.failure_rate < counts.rates().failure_rate / 1.5
        assert used.graduate_rate == 0.0 if stage is Stage.C else used.graduate_rate > 0.1
    assert documented(f"| {' | '.join(row)} |" for row in (*comparison.rows, *sectors.rows)) == []
