"""Sessions in each of the ways to be lost, and what their outbox rows say."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, text

from core.session_states import SessionStatus
from db import outbox, sessions
from db.session_rows import Fence
from tests.db.store.database_clock import advance_clock
from tests.db.store.examples import bridge_session, expire_session_lease, session_at

ENQUEUED_AGO_S = 3.0
"""More than the grace of a row that was enqueued just now."""


def job_row(conn: Connection, session_id: UUID) -> dict[str, object]:
    statement = "SELECT *, extract(epoch FROM next_run_at - now()) AS due_in_s FROM job_outbox WHERE session_id = :id"
    return dict(conn.execute(text(statement), {"id": session_id}).mappings().one())


def stray_session(conn: Connection, flow_run_id: UUID) -> UUID:
    """Its flow run was made a while ago, and has not taken it."""
    session_id = bridge_session(conn)
    enqueue(conn, session_id, flow_run_id)
    return session_id


def enqueue(conn: Connection, session_id: UUID, flow_run_id: UUID) -> None:
    """As a bridge does, and a while ago."""
    conn.execute(text("UPDATE job_outbox SET next_run_at = now() WHERE session_id = :id"), {"id": session_id})
    jobs = outbox.claim_jobs(conn, 1000)
    assert outbox.mark_enqueued(conn, {job: flow_run_id for job in jobs if job.session_id == session_id})
    outbox.release_claims(conn, jobs)
    advance_clock(conn, ENQUEUED_AGO_S)


def expired_session(
    conn: Connection, flow_run_id: UUID | None = None, status: SessionStatus = SessionStatus.OPTIMIZING
) -> Fence:
    """A run took it, and its lease ran out. The fence is the lost run's."""
    fence = session_at(conn, status)
    if flow_run_id is not None:
        assert sessions.record_flow_run(conn, fence, flow_run_id)
    expire_session_lease(conn, fence.session_id)
    return fence
