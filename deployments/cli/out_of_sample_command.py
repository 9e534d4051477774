"""`vcfolio out-of-sample`: the portfolio of a completed session in millions of scenarios out of sample."""

from __future__ import annotations

import threading
from typing import Annotated
from uuid import UUID

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from core.errors import BadInput, Cancelled
from core.result.reports import LargeSampleDocument
from core.result.sentences import comparison_sentences, kept_by_both, optimism_sentence
from core.result.wording import FIGURES
from core.session_states import SessionStatus
from db.engine import transaction
from db.sessions import load_session
from db.settings import load_settings
from deployments.cli import terminal
from deployments.cli.arguments import AsJson, SessionId
from deployments.cli.interruptible import run_interruptibly
from deployments.cli.result_view import regimes_table
from deployments.local.services import FlowServices, flow_services


def out_of_sample(
    session_id: SessionId,
    scenarios: Annotated[int, typer.Option(help="Scenarios out of sample, 1,000 to 100,000,000.")] = 1_000_000,
    *,
    as_json: AsJson = False,
) -> None:
    """Raises NotFound for an unknown session, BadInput for one that is not completed or too many scenarios."""
    with flow_services(load_settings()) as services:
        document = _drawn(services, session_id, scenarios)
    if as_json:
        terminal.print_json(document.as_json())
    else:
        _render(document)


def _drawn(services: FlowServices, session_id: UUID, scenarios: int) -> LargeSampleDocument:
    with transaction(services.engine) as conn:
        session = load_session(conn, session_id)  # what is wrong is said at once, not when Prefect is up
    if session.status is not SessionStatus.COMPLETED:
        raise BadInput.of("SESSION_ID", str(session_id), f"must be completed; it is {session.status.value}")
    with terminal.notes.status("starting Prefect ..."):
        # Prefect reads its settings when it is imported.
        from deployments.prefect.flush import flush_to_server  # noqa: PLC0415
        from flows import out_of_sample as flow  # noqa: PLC0415
        from tasks.large_sample import require_scenarios  # noqa: PLC0415

        require_scenarios(scenarios)
        services.wait_for_prefect()
    found: list[LargeSampleDocument] = []
    stopped = threading.Event()
    with _progress_bar() as bar:
        line = bar.add_task(f"drawing {scenarios:,} scenarios", total=None)

        def show(done: int, parts: int) -> None:
            if stopped.is_set():
                raise Cancelled("drawing scenarios was told to stop")
            bar.update(line, completed=done, total=parts)

        flow.report_progress_to(show)
        try:
            run_interruptibly(lambda: found.append(flow.out_of_sample(session_id, scenarios)), stopped.set)
        finally:
            flush_to_server()
    return found[0]


def _progress_bar() -> Progress:
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=terminal.notes)


def _render(document: LargeSampleDocument) -> None:
    title = f"{document.scenarios:,} scenarios that the portfolio was not chosen on (out of sample), 95% intervals"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in ("limit as enforced", "weights", "whole deals"):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("kept by both?", overflow="fold")
    for figure in FIGURES:
        weights, deals = figure.estimate(document.weights), figure.estimate(document.whole_deals)
        table.add_row(
            figure.label,
            figure.enforced(weights),
            figure.with_interval(weights),
            figure.with_interval(deals),
            kept_by_both(figure, document.weights, document.whole_deals),
        )
    terminal.output.print(table)
    terminal.output.print(regimes_table(document.whole_deals.by_regime))
    lines = (
        optimism_sentence(document.weights),
        *comparison_sentences(document.comparison_portfolios, document.scenarios),
    )
    for line in lines:
        terminal.output.print(line, markup=False, soft_wrap=True)
