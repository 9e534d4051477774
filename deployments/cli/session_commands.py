"""`vcfolio status` and `vcfolio result`."""

from __future__ import annotations

from uuid import UUID

from core.errors import BadInput
from core.session_states import SessionStatus
from db.engine import transaction
from db.results import session_result, session_timings
from db.sessions import SessionRow, load_session
from db.settings import load_settings
from deployments.cli import terminal
from deployments.cli.progress import describe
from deployments.cli.result_view import render_result
from deployments.services import database
from tasks.process_owner import owner_is_gone


def show_status(session_id: UUID, *, as_json: bool) -> None:
    """Raises NotFound for an unknown id."""
    session = _load(session_id)
    if as_json:
        document = session_result(session)
        names = ("sessionId", "fundId", "status", "errorCode", "errorReason", "matrixKey", "matrixCache", "timings")
        terminal.print_json({name: document[name] for name in names} | {"progress": session.progress})
        return
    terminal.output.print(f"session {session.session_id}: {session.status.value}", markup=False)
    if not session.status.terminal:
        terminal.output.print(describe(session.status, session.progress), markup=False)
        if session.lease_token is None or owner_is_gone(session.lease_owner):
            terminal.output.print(f"nobody runs it; finish it with: vcfolio run --resume {session.session_id}")
    if session.error_code is not None:
        terminal.output.print(f"{session.error_code}: {session.error_reason}", markup=False, soft_wrap=True)
    for stage, seconds in session_timings(session).items():
        if seconds is not None:
            terminal.output.print(f"{stage:9} {seconds:8.2f} s", markup=False)


def show_result(session_id: UUID, *, as_json: bool) -> None:
    """Raises NotFound for an unknown id, BadInput for a session that has no result."""
    session = _load(session_id)
    if session.status is not SessionStatus.COMPLETED:
        rule = f"must be completed; it is {session.status.value}"
        if session.error_reason:
            rule += f" ({session.error_code}: {session.error_reason})"
        raise BadInput.of("SESSION_ID", str(session_id), rule)
    if as_json:
        terminal.print_json(session_result(session))
    else:
        render_result(session, terminal.output)


def _load(session_id: UUID) -> SessionRow:
    with database(load_settings()) as engine, transaction(engine) as conn:
        return load_session(conn, session_id)
