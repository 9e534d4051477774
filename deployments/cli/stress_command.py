"""`vcfolio stress`: the portfolio of a completed session in other economies, without a new solve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.table import Table

from core.errors import BadInput, FieldProblem
from core.matrix.key import simulation_inputs
from core.request.normalized_config import NormalizedConfig
from core.result.build import deals_from, weights_from
from core.result.model import ScenarioFigures
from core.result.reports import StressDocument, rows_of
from core.result.wording import FIGURES
from core.risk.stress_report import stress_report
from core.session_states import SessionStatus
from db.engine import transaction
from db.results import stored_allocation
from db.session_rows import SessionRow
from db.sessions import load_session
from db.settings import load_settings
from deployments.cli import terminal
from deployments.cli.arguments import AsJson, SessionId
from deployments.local.services import database

MOST_SCENARIOS = 1_000_000
FEWEST_SCENARIOS = 100


def stress(
    session_id: SessionId,
    stress: Annotated[
        list[str] | None, typer.Option("--stress", metavar="REGIME=SHARE", help="e.g. recession=1.0; may be repeated.")
    ] = None,
    scenarios: Annotated[
        int | None, typer.Option(help="Scenarios out of sample; default those of the session.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Raises NotFound for an unknown session, BadInput for one that is not completed or shares that cannot be."""
    wanted = parse_shares(stress or [])
    if scenarios is not None and not FEWEST_SCENARIOS <= scenarios <= MOST_SCENARIOS:
        raise BadInput.of("--scenarios", scenarios, f"must be {FEWEST_SCENARIOS:,} to {MOST_SCENARIOS:,}")
    with database(load_settings()) as engine, transaction(engine) as conn:
        session = load_session(conn, session_id)
    document = _report(session, wanted, scenarios)
    if as_json:
        terminal.print_json(document.as_json())
    else:
        _render(document)


def parse_shares(settings: Sequence[str]) -> dict[str, float]:
    """`regime=share` each. Raises BadInput for one that is not, and for a regime that is named twice."""
    found: dict[str, float] = {}
    problems = []
    for setting in settings:
        name, separator, text = setting.rpartition("=")
        try:
            share = float(text)
        except ValueError:
            share = None
        if not separator or not name or share is None:
            problems.append(FieldProblem("--stress", setting, "must be REGIME=SHARE, e.g. recession=1.0"))
        elif name in found:
            problems.append(FieldProblem("--stress", setting, f"names {name} a second time"))
        else:
            found[name] = share
    if problems:
        raise BadInput(problems)
    return found


def _report(session: SessionRow, wanted: Mapping[str, float], scenarios: int | None) -> StressDocument:
    if session.status is not SessionStatus.COMPLETED:
        rule = f"must be completed; it is {session.status.value}"
        raise BadInput.of("SESSION_ID", str(session.session_id), rule)
    config = NormalizedConfig.model_validate(session.normalized_config)
    allocation = stored_allocation(session)
    report = stress_report(
        config,
        simulation_inputs(session.matrix_key_json),
        weights_from(allocation, config),
        deals_from(allocation, config),
        wanted=wanted,
        scenarios=config.validation_scenarios if scenarios is None else scenarios,
    )
    return StressDocument.of(session.session_id, report)


def _render(document: StressDocument) -> None:
    for portfolio, what in (
        (document.weights, "The weights"),
        (document.whole_deals, "The whole deals that they buy"),
    ):
        table = Table(title=f"{what}, {document.scenarios:,} scenarios out of sample", title_justify="left")
        table.add_column("economy")
        for heading in (*(figure.label for figure in FIGURES), "effective scenarios"):
            table.add_column(heading, justify="right")
        for label, figures in rows_of(portfolio, document.regimes):
            table.add_row(label, *_cells(figures))
        terminal.output.print(table)
    terminal.output.print(
        "Figures with their standard errors. Nothing was solved again: the portfolio is the session's."
    )


def _cells(figures: ScenarioFigures | None) -> tuple[str, ...]:
    if figures is None:
        return (*["-"] * len(FIGURES), "0")
    errors = figures.standard_errors
    shown = [figure.with_error(figure.of(figures), figure.error(errors)) for figure in FIGURES]
    return (*shown, f"{figures.effective_scenarios or 0.0:,.0f}")
