"""`vcfolio result`."""

from __future__ import annotations

from uuid import UUID

from core.errors import BadInput
from core.session_states import SessionStatus
from db.engine import transaction
from db.results import session_result
from db.session_rows import SessionRow
from db.sessions import load_session
from db.settings import load_settings
from deployments.cli import terminal
from deployments.cli.arguments import AsJson, SessionId
from deployments.cli.result_view import render_result
from deployments.local.services import database


def result(session_id: SessionId, *, as_json: AsJson = False) -> None:
    """Raises NotFound for an unknown id, BadInput for a session that has no result."""
    session = _load(session_id)
    if session.status is not SessionStatus.COMPLETED:
        rule = f"must be completed; it is {session.status.value}"
        if session.error_reason:
            rule += f" ({session.error_code}: {session.error_reason})"
        raise BadInput.of("SESSION_ID", str(session_id), rule)
    if as_json:
        terminal.print_json(session_result(session).as_json())
    else:
        render_result(session_result(session), terminal.output)


def _load(session_id: UUID) -> SessionRow:
    with database(load_settings()) as engine, transaction(engine) as conn:
        return load_session(conn, session_id)
