"""`vcfolio calibrate`: from a fund's history files to a stored snapshot, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection

from core.calibration.cohort_snapshot import BIAS, MULTIPLIERS_LEFT, cohort_snapshot
from core.calibration.history import History, RowTally, read_history
from core.calibration.simple_cohort import EventTiming, StageCounts, count_transitions, time_events
from core.calibration.snapshot import CalibrationSnapshot
from core.errors import BadInput
from core.stages import Stage
from db.benchmarks import DEFAULT_BENCHMARK
from db.calibrations import load_snapshot, store_snapshot
from db.funds import Fund, find_fund
from db.history import LoadCounts, load_history, read_mapping, scan_table


@dataclass(frozen=True, slots=True)
class CalibrateArguments:
    """What the user asked for. `fund` is a name or an id; `benchmark` the version of a stored snapshot."""

    fund: str
    companies: Path
    rounds: Path
    mapping: Path
    as_of: date
    version: str
    benchmark: str = DEFAULT_BENCHMARK


@dataclass(frozen=True, slots=True)
class CalibrationSummary:
    """What was read, loaded, counted and stored. `is_new` is False when the very same snapshot was there already."""

    fund: Fund
    history: History
    loaded: LoadCounts
    counts: dict[Stage, StageCounts]
    timings: list[EventTiming]
    snapshot: CalibrationSnapshot
    is_new: bool


def calibrate(
    transaction: Callable[[], AbstractContextManager[Connection]], arguments: CalibrateArguments
) -> CalibrationSummary:
    """Read, check, load, count and store: all of it, or nothing.

    transaction: opens one that commits when its block ends and rolls back when it raises.
    Raises BadInput for files or a mapping that break a rule, NotFound for an unknown fund or benchmark, Conflict for a
    version that exists with other content.
    """
    if not 1 <= len(arguments.version) <= 100 or not arguments.version.isprintable():
        raise BadInput.of("version", arguments.version, "must be 1 to 100 printable characters")
    mapping = read_mapping(arguments.mapping)
    companies = scan_table("companies", arguments.companies)
    history = read_history(companies, scan_table("rounds", arguments.rounds), mapping, arguments.as_of)
    counts = count_transitions(history)
    with transaction() as conn:
        fund = find_fund(conn, arguments.fund)
        benchmark = load_snapshot(conn, arguments.benchmark)
        snapshot = cohort_snapshot(history, counts, mapping, arguments.version, benchmark)
        loaded = load_history(conn, fund.id, history)
        is_new = store_snapshot(conn, snapshot, fund.id)
    return CalibrationSummary(fund, history, loaded, counts, time_events(history), snapshot, is_new)


def render_calibration(summary: CalibrationSummary, console: Console) -> None:
    """Print the summary as tables."""
    history, snapshot = summary.history, summary.snapshot
    console.print(_rows_table("Companies", history.company_rows))
    console.print(_rows_table("Rounds", history.round_rows))
    console.print(_load_line(summary))
    console.print(_stages_table(summary))
    console.print(_timings_table(summary.timings))
    console.print(_sectors_table(snapshot))
    for note in _notes(summary):
        console.print(f"- {note}", markup=False, highlight=False)
    state = "stored" if summary.is_new else "was stored already, with the same content"
    console.print(f"Calibration {snapshot.version} of {summary.fund.name} {state}.", markup=False, highlight=False)


def _rows_table(title: str, rows: RowTally) -> Table:
    table = Table("", "rows", title=title, title_justify="left")
    table.columns[1].justify = "right"
    table.add_row("read", f"{rows.read:,}")
    table.add_row("used", f"{rows.used:,}")
    for reason, count in rows.set_aside.items():
        table.add_row(f"set aside: {reason}", f"{count:,}")
    return table


def _load_line(summary: CalibrationSummary) -> str:
    loaded = summary.loaded
    return (
        f"Loaded: {loaded.companies_inserted:,} companies new, {loaded.companies_updated:,} changed, "
        f"{loaded.companies_unchanged:,} as they were, {loaded.companies_kept:,} not in the file and kept; "
        f"{loaded.rounds_loaded:,} rounds in place of {loaded.rounds_replaced:,}."
    )


def _stages_table(summary: CalibrationSummary) -> Table:
    names = ("companies", "financings", "exit", "graduate", "failed", "silent", "stay", "left out")
    table = Table("stage", *names, title="What followed each financing", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for stage in Stage:
        counts = summary.counts.get(stage)
        if counts is None:
            table.add_row(stage, *"-" * len(names))
            continue
        outcomes = (counts.exited, counts.graduated, counts.failed, counts.silent, counts.stayed)
        cells = [f"{count:,}{_percent(count, counts.observed)}" for count in outcomes]
        table.add_row(stage, f"{counts.companies:,}", f"{counts.financings:,}", *cells, f"{counts.left_out:,}")
    return table


def _percent(count: int, observed: int) -> str:
    return f" ({count / observed:.1%})" if observed else ""


def _timings_table(timings: list[EventTiming]) -> Table:
    names = ("dated", "undated", "at the last round", "midpoint", "at the as-of date")
    title = "Mean months from the last financing to the end, by where an undated end is put"
    table = Table("stage", "end", *names, title=title, title_justify="left")
    for column in table.columns[2:]:
        column.justify = "right"
    for timing in timings:
        months = (timing.months_start, timing.months_mid, timing.months_end)
        dates = (f"{timing.dated:,}", f"{timing.undated:,}")
        table.add_row(timing.stage, timing.event, *dates, *(f"{mean:.1f}" for mean in months))
    return table


def _sectors_table(snapshot: CalibrationSnapshot) -> Table:
    table = Table("sector", "companies", title="Sectors", title_justify="left")
    table.columns[1].justify = "right"
    for sector, companies in snapshot.sectors.items():
        table.add_row(sector, f"{companies:,}")
    return table


def _notes(summary: CalibrationSummary) -> list[str]:
    history, snapshot = summary.history, summary.snapshot
    missing = [stage for stage in Stage if stage not in snapshot.transition_stats]
    skipped = sum(counts.skipped for counts in summary.counts.values())
    placed = snapshot.provenance["rounds_placed_by_order"]
    unseen = history.companies.height - snapshot.sample_size
    notes = [
        f"{BIAS}. They are the silent of the table, and count as failures in the rates.",
        f"{placed:,} rounds of unknown series were placed by their order.",
        "A financing followed only by rounds that could not be placed is left out.",
        f"{unseen:,} companies have no round at a known stage: they are loaded, and tell the rates nothing.",
        f"{skipped:,} graduations skip a stage.",
        "Where an undated end is put changes the months above, and no rate.",
        f"Exit outcomes, deal terms and cap table are those of benchmark {snapshot.benchmark_version}.",
        f"{MULTIPLIERS_LEFT}.",
    ]
    if missing:
        notes.append(f"No financing of known outcome at stage {', '.join(missing)}: left out of the snapshot.")
    return notes
