"""`vcfolio stress`: the portfolio of a completed session in other economies, without a new solve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from core.errors import BadInput, FieldProblem
from core.figures import FIGURES
from core.matrix.key import simulation_inputs
from core.portfolio.documents import deals_from, weights_from
from core.request.normalized_config import NormalizedConfig
from core.risk.stress_report import stress_report
from core.session_states import SessionStatus
from db.engine import transaction
from db.sessions import SessionRow, load_session
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
    scenarios: Annotated[int | None, typer.Option(help="Fresh scenarios; default those of the session.")] = None,
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
        terminal.print_json(document)
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


def _report(session: SessionRow, wanted: Mapping[str, float], scenarios: int | None) -> dict[str, Any]:
    if session.status is not SessionStatus.COMPLETED:
        rule = f"must be completed; it is {session.status.value}"
        raise BadInput.of("SESSION_ID", str(session.session_id), rule)
    assert session.allocation is not None
    config = NormalizedConfig.model_validate(session.normalized_config)
    report = stress_report(
        config,
        simulation_inputs(session.matrix_key_json),
        weights_from(session.allocation, config),
        deals_from(session.allocation, config),
        wanted=wanted,
        scenarios=config.validation_scenarios if scenarios is None else scenarios,
    )
    return {"sessionId": str(session.session_id), **report}


def _render(document: Mapping[str, Any]) -> None:
    for name, what in (("weights", "the weights"), ("wholeDeals", "the whole deals that they buy")):
        table = Table(
            title=f"{what[0].upper()}{what[1:]}, {document['scenarios']:,} fresh scenarios", title_justify="left"
        )
        table.add_column("economy")
        for heading in (*(each.label for each in FIGURES), "effective scenarios"):
            table.add_column(heading, justify="right")
        view = document[name]
        _add(table, "as simulated", view["asSimulated"])
        for entry in view["byRegime"]:
            _add(table, f"{entry['regime']} alone (probability {entry['probability']:.4g})", entry["figures"])
        if view["stressed"] is not None:
            shares = ", ".join(f"{regime} {entry['share']:.4g}" for regime, entry in document["regimes"].items())
            _add(table, f"stressed: {shares}", view["stressed"])
        terminal.output.print(table)
    terminal.output.print(
        "Figures with their standard errors. Nothing was solved again: the portfolio is the session's."
    )


def _add(table: Table, label: str, figures: Mapping[str, Any] | None) -> None:
    if figures is None:
        table.add_row(label, *["-"] * len(FIGURES), "0")
        return
    errors = figures["standardErrors"]
    shown = [each.with_error(figures[each.name], errors[each.name]) for each in FIGURES]
    table.add_row(label, *shown, f"{figures['effectiveScenarios']:,.0f}")
