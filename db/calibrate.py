"""Calibrate a fund: history in, an immutable snapshot stored, in one transaction or not at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from sqlalchemy import Connection

from core.calibration.calibration import (
    Calibration,
    adopt_reference,
    calibrate_by_simple_cohort,
    calibrate_by_survival,
)
from core.calibration.history import History, HistorySource, read_history
from core.calibration.snapshot import CalibrationMethod, CalibrationSnapshot
from core.calibration.survival import SurvivalTerms
from core.errors import BadInput, FieldProblem
from db.calibrations import load_snapshot, store_snapshot
from db.fund_history import read_fund_history
from db.funds import Fund, find_fund
from db.history import LoadCounts, load_history, read_mapping, scan_table
from db.reference_calibrations import DEFAULT_REFERENCE

Begin = Callable[[], AbstractContextManager[Connection]]
"""Opens a transaction that commits when its block ends and rolls back when it raises."""


@dataclass(frozen=True, slots=True)
class HistoryFiles:
    """CSV or Parquet, and the mapping that says what columns and values mean."""

    companies: Path
    rounds: Path
    mapping: Path


@dataclass(frozen=True, slots=True)
class CalibrationOrder:
    """What the user asked for. fund: name or id. as_of: None for `industry_benchmark`, which has no history.

    files: None to calibrate from the fund's rows in the database. reference: version of a stored snapshot.
    compare: by both methods, whichever makes the snapshot.
    """

    fund: str
    version: str
    as_of: date | None = None
    files: HistoryFiles | None = None
    method: CalibrationMethod = "survival"
    terms: SurvivalTerms = field(default_factory=SurvivalTerms)
    reference: str = DEFAULT_REFERENCE
    compare: bool = False


@dataclass(frozen=True, slots=True)
class CalibrationOutcome:
    """What was stored. is_new: False when the very same snapshot was there already. calibration, loaded: None where no
    history was read, or none from files."""

    fund: Fund
    snapshot: CalibrationSnapshot
    is_new: bool
    calibration: Calibration | None
    loaded: LoadCounts | None


def calibrate(begin: Begin, order: CalibrationOrder) -> CalibrationOutcome:
    """Read, check, estimate, load and store: all of it, or nothing.

    Raises BadInput for an order, files or a mapping that break a rule, NotFound for an unknown fund or reference,
    Conflict for a version that exists with other content.
    """
    _check(order)
    from_files = None if order.files is None else read_files(order.files, _as_of(order))
    with begin() as conn:
        fund = find_fund(conn, order.fund)
        reference = load_snapshot(conn, order.reference)
        calibration, loaded = None, None
        if order.method == "industry_benchmark":
            snapshot = adopt_reference(reference, order.version)
        else:
            history, source = from_files or _from_rows(conn, fund, _as_of(order))
            calibration = _calibrate(order, history, source, reference)
            snapshot = calibration.snapshot
            loaded = load_history(conn, fund.id, history) if from_files else None
        is_new = store_snapshot(conn, snapshot, fund.id)
    return CalibrationOutcome(fund, snapshot, is_new, calibration, loaded)


def read_files(files: HistoryFiles, as_of: date) -> tuple[History, HistorySource]:
    """Raises BadInput for files or a mapping that break a rule."""
    mapping = read_mapping(files.mapping)
    companies = scan_table("companies", files.companies)
    history = read_history(companies, scan_table("rounds", files.rounds), mapping, as_of)
    return history, HistorySource(mapping.name, mapping.source)


def load_files(begin: Begin, fund_reference: str, files: HistoryFiles, as_of: date) -> tuple[Fund, History, LoadCounts]:
    """Put a history into the fund's rows, without calibrating. Raises as `calibrate` does; then nothing is written."""
    history, _source = read_files(files, as_of)
    with begin() as conn:
        fund = find_fund(conn, fund_reference)
        loaded = load_history(conn, fund.id, history)
    return fund, history, loaded


def _from_rows(conn: Connection, fund: Fund, as_of: date) -> tuple[History, HistorySource]:
    return read_fund_history(conn, fund, as_of), HistorySource("fund-rows", f"the rows of fund {fund.name}")


def _calibrate(
    order: CalibrationOrder, history: History, source: HistorySource, reference: CalibrationSnapshot
) -> Calibration:
    if order.method == "survival":
        return calibrate_by_survival(history, source, order.version, reference, order.terms)
    compare_with = order.terms if order.compare else None
    return calibrate_by_simple_cohort(history, source, order.version, reference, compare_with)


def _as_of(order: CalibrationOrder) -> date:
    assert order.as_of is not None
    return order.as_of


def _check(order: CalibrationOrder) -> None:
    problems = []
    if not 1 <= len(order.version) <= 100 or not order.version.isprintable():
        problems.append(FieldProblem("version", order.version, "must be 1 to 100 printable characters"))
    if order.method == "industry_benchmark":
        unused = {"asOf": order.as_of, "files": order.files, "compare": order.compare or None}
        problems += [
            FieldProblem(name, value, "must be left out: industry_benchmark takes the reference's figures as they are")
            for name, value in unused.items()
            if value is not None
        ]
    elif order.as_of is None:
        problems.append(FieldProblem("asOf", None, "must be given: the day up to which the history is known"))
    if problems:
        raise BadInput(problems)
