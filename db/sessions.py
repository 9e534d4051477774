"""Optimization sessions: created once, owned by one run at a time, moved by guarded updates.

Every write of a run carries its `Fence` and the status it expects. A False means that nothing was written: another
run owns the session, or it has ended (`owns` tells whether a refusal had another cause).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    TextClause,
    bindparam,
    exists,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)

from core.errors import Conflict, NotFound
from core.session_states import NEXT_STATUS, SessionStatus
from db import outbox
from db.events import record_event
from db.session_rows import CreatedSession, Document, Fence, NewSession, SessionRow, SessionState
from db.sql import Statements
from db.tables import optimization_sessions as sessions
from db.tables import scenario_matrices as matrices
from db.tables.base import Json
from db.tables.events import EventKind
from db.tables.outbox import JobStatus
from db.tables.sessions import ACTIVE, Driver, MatrixOrigin

_SQL = Statements("sessions")

MAX_UNCLASSIFIED_FAILURES = 2
"""A run that ends in an unexpected exception may be repeated until the session has had this many."""

CANCELLED = "cancelled"


def create_session(
    conn: Connection, new: NewSession, driver: Driver, lease_s: float | None, lease_owner: str | None
) -> CreatedSession:
    """Insert the session and its outbox row: pending for the bridge, or enqueued with the lease granted inline.

    The same client key and request again is the first session again, however many ask at once. Raises Conflict when
    the client key was used for another request.
    """
    assert (driver == "inline") == (lease_s is not None)
    values = {column: getattr(new, column) for column in NewSession.__slots__}
    inserted = conn.execute(
        _create_statement(), {**values, "driver": driver, "lease_s": lease_s, "lease_owner": lease_owner}
    ).one_or_none()
    if inserted is None:
        return CreatedSession(_earlier_session(conn, new), created=False, lease_token=None)
    *state, lease_token = inserted
    session = _state(state)
    outbox.put_job(
        conn, session.session_id, session.epoch, JobStatus.PENDING if driver == "bridge" else JobStatus.ENQUEUED
    )
    return CreatedSession(session, created=True, lease_token=lease_token)


@cache
def _create_statement() -> TextClause:
    """Textual, because SQLAlchemy compiles an insert with ON CONFLICT anew each time."""
    documents = ("request", "normalized_config", "matrix_key_json")
    return _SQL["create_session"].bindparams(*(bindparam(name, type_=Json) for name in documents))


def _earlier_session(conn: Connection, new: NewSession) -> SessionState:
    *state, request_hash = conn.execute(
        _SQL["session_of_client_key"],
        {"fund": new.fund_id, "client_key": new.client_key},
    ).one()
    earlier = _state(state)
    if request_hash != new.request_hash:
        raise Conflict.of(
            "client key", new.client_key, f"was used for another request, that of session {earlier.session_id}"
        )
    return earlier


def _state(row: Sequence[Any]) -> SessionState:
    session_id, status, epoch, error_code, error_reason = row
    return SessionState(session_id, SessionStatus(status), epoch, error_code, error_reason)


def load_session(conn: Connection, session_id: UUID) -> SessionRow:
    """Raises NotFound."""
    row = conn.execute(select(sessions).where(sessions.c.session_id == session_id)).mappings().one_or_none()
    if row is None:
        raise NotFound.of("session", str(session_id), "no session has this id")
    return _session(row)


def interrupted_inline_sessions(conn: Connection) -> list[SessionRow]:
    """Active sessions whose own process should run them, and no longer does; oldest first."""
    statement = select(sessions).where(sessions.c.driver == "inline", _ACTIVE, _no_live_lease())
    rows = conn.execute(statement.order_by(sessions.c.created_at, sessions.c.session_id)).mappings()
    return [_session(row) for row in rows]


def take_session(conn: Connection, session_id: UUID, epoch: int, lease_s: float, owner: str) -> UUID | None:
    """A new lease token. None when the epoch is over, the session has ended, or a live lease is held."""
    statement = (
        update(sessions)
        .where(sessions.c.session_id == session_id, sessions.c.epoch == epoch, _ACTIVE, _no_live_lease())
        .values(**_lease_for(lease_s), lease_owner=owner)
        .returning(sessions.c.lease_token)
    )
    lease_token: UUID | None = conn.scalar(statement)
    return lease_token


def extend_lease(conn: Connection, fence: Fence, lease_s: float, progress: Document | None) -> bool:
    """Heartbeat. progress: what the run reports of itself; None leaves the last report."""
    values = {"lease_expires_at": _in_seconds(lease_s)} | ({} if progress is None else {"progress": progress})
    return _write(conn, fence, values)


def owns(conn: Connection, fence: Fence) -> bool:
    """Whether the session has not been taken, reopened, cancelled or ended since the fence was granted."""
    return bool(conn.scalar(select(exists().where(*_held_by(fence)))))


def record_flow_run(conn: Connection, fence: Fence, flow_run_id: UUID) -> bool:
    """Note which flow run drives the session."""
    return _write(conn, fence, {"flow_run_id": flow_run_id})


def release_lease(conn: Connection, fence: Fence, count_failure: bool) -> bool:
    """Release the lease, so that the next run can take the session.

    count_failure: it ended in an unexpected exception.
    """
    return _write(
        conn, fence, {**_NO_LEASE, "unclassified_failures": sessions.c.unclassified_failures + int(count_failure)}
    )


def start_matrix(conn: Connection, fence: Fence) -> bool:
    """REQUESTED -> MATRIX_GENERATING."""
    return _advance(conn, fence, SessionStatus.REQUESTED, {"matrix_started_at": func.now()})


def start_optimizing(conn: Connection, fence: Fence, generation: int, origin: MatrixOrigin) -> bool:
    """MATRIX_GENERATING -> OPTIMIZING, only where that generation of the session's matrix is complete.

    False for a run that still `owns` the session: the matrix is gone; ensure it again.
    """
    complete = exists().where(
        matrices.c.matrix_key == sessions.c.matrix_key,
        matrices.c.generation == generation,
        matrices.c.status == "complete",
    )
    values = {
        "matrix_generation": generation,
        "matrix_origin": origin,
        "matrix_completed_at": func.now(),
        "optimization_started_at": func.now(),
    }
    return _advance(conn, fence, SessionStatus.MATRIX_GENERATING, values, complete)


def store_allocation(
    conn: Connection,
    fence: Fence,
    *,
    allocation: list[Any],
    solver_metadata: Document,
    pass1_e_star: float,
    primary_lock_epsilon: float,
) -> bool:
    """OPTIMIZING -> VALIDATING. pass1_e_star: expected MOIC of the primary solve; epsilon: absolute, in MOIC."""
    values = {
        "allocation": allocation,
        "solver_metadata": solver_metadata,
        "pass1_e_star": pass1_e_star,
        "primary_lock_epsilon": primary_lock_epsilon,
        "optimization_completed_at": func.now(),
        "validation_started_at": func.now(),
    }
    return _advance(conn, fence, SessionStatus.OPTIMIZING, values)


def complete(conn: Connection, fence: Fence, validation_metrics: Document, validated: list[Any] | None = None) -> bool:
    """VALIDATING -> COMPLETED, where the stored allocation still is the one that was `validated`, if that is given."""
    values = {"validation_metrics": validation_metrics, "completed_at": func.now(), **_NO_LEASE}
    unchanged = () if validated is None else (sessions.c.allocation == validated,)
    return _advance(conn, fence, SessionStatus.VALIDATING, values, *unchanged)


def fail(conn: Connection, fence: Fence, error_code: str, error_reason: str) -> bool:
    """Any status that is not terminal -> FAILED."""
    return _write(conn, fence, _failed(error_code, error_reason), _ACTIVE)


def reopen(conn: Connection, session_id: UUID, epoch: int, *, force: bool) -> int | None:
    """Begin a new epoch, for a session that is resumed by hand; a run that held the lease is superseded.

    Returns the new epoch, to be taken in the same transaction: the outbox row says enqueued (and is put back where it
    was lost), so that the bridge starts no second run. None when the epoch is over, the session has ended, or a live
    lease is held and `force` is off.
    """
    statement = (
        update(sessions)
        .where(sessions.c.session_id == session_id, sessions.c.epoch == epoch, _ACTIVE)
        .where(or_(literal(force), _no_live_lease()))
        .values(epoch=sessions.c.epoch + 1, flow_run_id=None, **_NO_LEASE)
        .returning(sessions.c.epoch)
    )
    new_epoch: int | None = conn.scalar(statement)
    if new_epoch is not None:
        outbox.put_job(conn, session_id, new_epoch, JobStatus.ENQUEUED)
        record_event(conn, session_id, epoch, EventKind.RESUMED, "taken over by hand")
    return new_epoch


def cancel(conn: Connection, session_id: UUID, reason: str) -> bool:
    """-> FAILED with code `cancelled`, and no flow run for it any more. False when it has ended or does not exist."""
    statement = update(sessions).where(sessions.c.session_id == session_id, _ACTIVE)
    epoch = conn.scalar(statement.values(**_failed(CANCELLED, reason)).returning(sessions.c.epoch))
    if epoch is None:
        return False
    outbox.close_job(conn, session_id, f"session cancelled: {reason}")
    record_event(conn, session_id, epoch, EventKind.CANCELLED, reason)
    return True


def _session(row: Mapping[Any, Any]) -> SessionRow:
    return SessionRow(**{**row, "status": SessionStatus(row["status"])})


# In the very words of the partial index, or the planner does not see that it applies.
_ACTIVE: ColumnElement[bool] = literal_column(ACTIVE, Boolean)

_NO_LEASE: dict[str, Any] = {"lease_token": None, "lease_expires_at": None, "lease_owner": None}


def _lease_for(lease_s: float) -> dict[str, Any]:
    return {"lease_token": func.gen_random_uuid(), "lease_expires_at": _in_seconds(lease_s)}


def _in_seconds(seconds: float) -> ColumnElement[datetime]:
    return func.now() + timedelta(seconds=seconds)


def _failed(error_code: str, error_reason: str) -> dict[str, Any]:
    return {
        "status": SessionStatus.FAILED,
        "error_code": error_code,
        "error_reason": error_reason,
        "completed_at": func.now(),
        **_NO_LEASE,
    }


def _no_live_lease() -> ColumnElement[bool]:
    return or_(sessions.c.lease_expires_at.is_(null()), sessions.c.lease_expires_at <= func.now())


def _held_by(fence: Fence) -> tuple[ColumnElement[bool], ...]:
    return (
        sessions.c.session_id == fence.session_id,
        sessions.c.epoch == fence.epoch,
        sessions.c.lease_token == fence.lease_token,
    )


def _write(conn: Connection, fence: Fence, values: Mapping[str, Any], *conditions: ColumnElement[bool]) -> bool:
    """One guarded update; False when it found nothing to change."""
    return conn.execute(update(sessions).where(*_held_by(fence), *conditions).values(**values)).rowcount == 1


def _advance(
    conn: Connection, fence: Fence, frm: SessionStatus, values: Mapping[str, Any], *conditions: ColumnElement[bool]
) -> bool:
    """Along the one edge that leads on from `frm`."""
    return _write(conn, fence, {**values, "status": NEXT_STATUS[frm]}, sessions.c.status == frm, *conditions)
