"""A session that has its answer, for the pages that show one."""

from __future__ import annotations

from sqlalchemy import Connection

from api.problems import Problem
from core.session_states import SessionStatus
from db.session_reads import SessionStatusView
from db.session_rows import SessionRow
from db.sessions import load_session


def completed(conn: Connection, seen: SessionStatusView, lacks: str = "it has no result.") -> SessionRow:
    """Raises Problem 409 before it is completed; lacks: what there is not then, in words."""
    if seen.status is not SessionStatus.COMPLETED:
        raise Problem(409, "not_completed", f"The session is {seen.status.value}: {lacks}")
    return load_session(conn, seen.session_id)
