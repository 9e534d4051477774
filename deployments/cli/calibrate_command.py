"""`vcfolio calibrate`: what was asked for, done, and what there is to say about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.console import Console

from core.calibration.calibration import Calibration
from core.calibration.snapshot import CalibrationMethod
from core.calibration.survival import SurvivalTerms
from core.calibration.tables import calibration_tables
from core.charts.calibration_report import calibration_report, remarks
from core.errors import BadInput, FieldProblem
from db.calibrate import CalibrationOrder, CalibrationOutcome, HistoryFiles
from db.calibrate import calibrate as store_calibration
from db.engine import transaction
from db.reference_calibrations import DEFAULT_REFERENCE
from db.settings import load_settings
from deployments.cli import terminal
from deployments.cli.history_view import load_line, rich_table
from deployments.cli.output_file import require_directory, write_whole
from deployments.local.services import database

AsOf = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day the history was taken.")]


@dataclass(frozen=True, slots=True)
class SurvivalOptions:
    """None: not given. dormant_after: months; 0: silence is never a failure."""

    dormant_after: float | None = None
    round_months: float | None = None
    horizon_months: float | None = None
    prior_weight: float | None = None

    def terms(self) -> SurvivalTerms:
        """Raises BadInput for a value that breaks its rule."""
        defaults = SurvivalTerms()
        dormant = defaults.dormant_after_months if self.dormant_after is None else self.dormant_after or None
        return SurvivalTerms(
            dormant_after_months=dormant,
            round_months=_given(self.round_months, defaults.round_months),
            horizon_months=_given(self.horizon_months, defaults.horizon_months),
            prior_weight=_given(self.prior_weight, defaults.prior_weight),
        )

    def problems(self) -> list[FieldProblem]:
        """Options that a method without survival analysis would silently ignore."""
        given = {
            "--dormant-after": self.dormant_after,
            "--round-months": self.round_months,
            "--horizon-months": self.horizon_months,
            "--prior-weight": self.prior_weight,
        }
        rule = "must be left out: only survival, and --compare with it, reads this"
        return [FieldProblem(name, value, rule) for name, value in given.items() if value is not None]


def calibrate(
    *,
    fund: Annotated[str, typer.Option(help="Fund name or id.")],
    version: Annotated[str, typer.Option(help="Name of the snapshot to make.")],
    as_of: AsOf = None,
    companies: Annotated[Path | None, typer.Option(help="Companies, CSV or Parquet; without: the fund's rows.")] = None,
    rounds: Annotated[Path | None, typer.Option(help="Financing rounds, CSV or Parquet.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="What the files' columns and values mean, TOML.")] = None,
    method: Annotated[str, typer.Option(help="survival, simple_cohort or industry_benchmark.")] = "survival",
    reference: Annotated[
        str | None,
        typer.Option("--reference", "--benchmark", help="Reference calibration, for what the history cannot tell."),
    ] = None,
    dormant_after: Annotated[
        float | None, typer.Option(help="Months of silence that count as failure; 0: never. Default 48.")
    ] = None,
    round_months: Annotated[float | None, typer.Option(help="Length of a round, months. Default 18.")] = None,
    horizon_months: Annotated[
        float | None, typer.Option(help="Months after entry up to which incidence is used. Default 72.")
    ] = None,
    prior_weight: Annotated[
        float | None, typer.Option(help="Rounds (exits, failures) the reference counts for. Default 20.")
    ] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Show survival and simple_cohort side by side.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the report with its chart here, Markdown.")] = None,
) -> None:
    """As `calibrate_fund`."""
    calibrate_fund(
        fund=fund,
        version=version,
        method=method,
        as_of=None if as_of is None else as_of.date(),
        companies=companies,
        rounds=rounds,
        mapping=mapping,
        reference=reference,
        survival=SurvivalOptions(dormant_after, round_months, horizon_months, prior_weight),
        compare=compare,
        report=report,
    )


def calibrate_fund(
    *,
    fund: str,
    version: str,
    method: str,
    as_of: date | None,
    companies: Path | None,
    rounds: Path | None,
    mapping: Path | None,
    reference: str | None,
    survival: SurvivalOptions,
    compare: bool,
    report: Path | None,
) -> None:
    """Raises BadInput, NotFound or Conflict; then nothing is written."""
    order = CalibrationOrder(
        fund=fund,
        version=version,
        as_of=as_of,
        files=_files(companies, rounds, mapping),
        method=_method(method),
        terms=survival.terms(),
        reference=reference or DEFAULT_REFERENCE,
        compare=compare,
    )
    if order.method != "survival" and not compare and (problems := survival.problems()):
        raise BadInput(problems)
    _check_report(report, order)
    with terminal.notes.status("reading, checking, estimating and storing ..."), database(load_settings()) as engine:
        outcome = store_calibration(lambda: transaction(engine), order)
    render_outcome(outcome, terminal.output, compare=compare)
    if report is not None:
        assert outcome.calibration is not None
        text = calibration_report(outcome.calibration, compare=compare)
        write_whole(report, "--report", lambda draft: draft.write_text(text, encoding="utf-8"))
        terminal.say(f"report: {report}")


def render_outcome(outcome: CalibrationOutcome, console: Console, *, compare: bool) -> None:
    """Print what was read, estimated and stored."""
    if outcome.loaded is not None:
        console.print(load_line(outcome.loaded), markup=False, highlight=False)
    if outcome.calibration is not None:
        _render_calibration(outcome.calibration, console, compare=compare)
    snapshot = outcome.snapshot
    state = "stored" if outcome.is_new else "was stored already, with the same content"
    console.print(
        f"Calibration {snapshot.version} of {outcome.fund.name} {state}. Method: {snapshot.method}.",
        markup=False,
        highlight=False,
    )


def _render_calibration(calibration: Calibration, console: Console, *, compare: bool) -> None:
    for table in calibration_tables(calibration, compare=compare):
        console.print(rich_table(table))
    for remark in remarks(calibration):
        console.print(f"- {remark}", markup=False, highlight=False)


def _files(companies: Path | None, rounds: Path | None, mapping: Path | None) -> HistoryFiles | None:
    given = {"--companies": companies, "--rounds": rounds, "--mapping": mapping}
    if companies is not None and rounds is not None and mapping is not None:
        return HistoryFiles(companies, rounds, mapping)
    missing = [
        FieldProblem(name, None, "must be given: files come all three, or not at all for the fund's own rows")
        for name, path in given.items()
        if path is None
    ]
    if len(missing) < len(given):
        raise BadInput(missing)
    return None


def _method(name: str) -> CalibrationMethod:
    for method in get_args(CalibrationMethod):
        if name == method:
            found: CalibrationMethod = method
            return found
    raise BadInput.of("--method", name, f"must be one of {', '.join(get_args(CalibrationMethod))}")


def _check_report(report: Path | None, order: CalibrationOrder) -> None:
    if report is None:
        return
    if order.method == "industry_benchmark":
        raise BadInput.of("--report", str(report), "must be left out: without a history there is nothing to report")
    require_directory(report, "--report")


def _given(value: float | None, default: float) -> float:
    return default if value is None else value
