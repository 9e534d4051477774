"""`vcfolio status`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from db.engine import transaction
from db.events import SessionEvent, events_of
from db.results import session_timings
from db.session_rows import SessionRow
from db.sessions import load_session
from db.settings import load_settings
from deployments.cli import terminal
from deployments.cli.arguments import AsJson, SessionId
from deployments.cli.progress import changes, describe, follow
from deployments.local.services import database
from tasks.process_owner import owner_is_gone


def status(
    session_id: SessionId,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """watch: until the session has ended; in JSON, one object a line for each change. Raises NotFound."""
    with database(load_settings()) as engine:
        if watch and as_json:
            for session in changes(engine, session_id):
                terminal.print_json_line(_status_document(session))
            return
        if watch:
            follow(engine, session_id)
        with transaction(engine) as conn:
            session, events = load_session(conn, session_id), events_of(conn, session_id)
    if as_json:
        terminal.print_json(_status_document(session))
    else:
        _print_status(session, events)


def _status_document(session: SessionRow) -> dict[str, Any]:
    return {
        "sessionId": str(session.session_id),
        "fundId": str(session.fund_id),
        "status": session.status.value,
        "errorCode": session.error_code,
        "errorReason": session.error_reason,
        "matrixKey": session.matrix_key,
        "matrixCache": session.matrix_origin,
        "timings": session_timings(session).as_json(),
        "epoch": session.epoch,
        "progress": session.progress,
    }


def _print_status(session: SessionRow, events: list[SessionEvent]) -> None:
    terminal.output.print(f"session {session.session_id}: {session.status.value}", markup=False)
    if not session.status.terminal:
        terminal.output.print(describe(session.status, session.progress), markup=False)
        hint = _who_runs_it(session)
        if hint:
            terminal.output.print(hint, markup=False, soft_wrap=True)
    if session.error_code is not None:
        terminal.output.print(f"{session.error_code}: {session.error_reason}", markup=False, soft_wrap=True)
    for stage, seconds in session_timings(session).items():
        if seconds is not None:
            terminal.output.print(f"{stage:9} {seconds:8.2f} s", markup=False)
    for event in events:
        words = event.kind.value.replace("_", " ")
        line = f"{event.created_at:%Y-%m-%d %H:%M:%S}  epoch {event.epoch}: {words}: {event.detail}"
        terminal.output.print(line, markup=False, soft_wrap=True)


def _who_runs_it(session: SessionRow) -> str | None:
    if session.lease_token is not None and not owner_is_gone(session.lease_owner):
        return None
    if session.driver == "inline":
        return f"no process runs it; finish it with: vcfolio run --resume {session.session_id}"
    return "no run owns it now; the stack will start one (`vcfolio up`; `vcfolio doctor` checks the stack)"
