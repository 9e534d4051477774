"""What waits and how long: for people who operate the outbox, for `vcfolio doctor`, for the bridge's metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from core.errors import BadInput, NotFound
from db.frontiers import count_waiting_frontiers
from db.outbox import CHANNEL
from db.sql import Statements
from db.tables.outbox import JobStatus, JobType

_SQL = Statements("queue")

LONG_TRANSACTION_S = 60
MOST_COUNTED = 1_000_000


@dataclass(frozen=True, slots=True)
class JobRow:
    """One outbox row. session_id: or that of the frontier that the row is for, see job_type.

    due_in_s: until it may be claimed, negative once it is due.
    """

    session_id: UUID
    fund: str
    status: JobStatus
    epoch: int
    attempts: int
    max_attempts: int
    due_in_s: float
    last_error: str | None
    flow_run_id: UUID | None
    created_at: datetime
    job_type: JobType = JobType.SESSION


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """depth: outbox rows by status, of sessions and frontiers that have not ended. oldest_due_s: how long the longest
    due row has been due; 0 when none is. waiting: sessions that no run has begun; with_run: those of them that have a
    flow run. oldest_waiting_s: the age of the oldest that waits. long_transactions: open for over a minute in this
    database, by application. bridges: connected now. frontiers_waiting: frontiers that no run has begun.
    """

    depth: dict[JobStatus, int]
    oldest_due_s: float
    waiting: int
    with_run: int
    oldest_waiting_s: float
    long_transactions: tuple[tuple[str, float], ...]
    bridges: int
    frontiers_waiting: int = 0


def list_jobs(conn: Connection, limit: int) -> list[JobRow]:
    """Rows of sessions and frontiers that have not ended, the longest due first."""
    rows = conn.execute(_SQL["list_jobs"], {"limit": limit})
    return [
        JobRow(**{**row, "status": JobStatus(row["status"]), "job_type": JobType(row["job_type"])})
        for row in rows.mappings()
    ]


def redrive(conn: Connection, session_id: UUID) -> None:
    """Make a pending row of a session or frontier due now, with all its attempts before it.

    Raises NotFound where there is no row, BadInput for one that is not pending: what is claimed, has its flow run or
    has failed is handled elsewhere.
    """
    status = conn.scalar(_SQL["lock_job"], {"session": session_id})
    if status is None:
        raise NotFound.of("SESSION_ID", str(session_id), "has no row in the outbox; see `vcfolio outbox list`")
    if status != JobStatus.PENDING:
        raise BadInput.of("SESSION_ID", str(session_id), f"must have a pending row; it is {status}")
    conn.execute(_SQL["make_due"], {"session": session_id})
    conn.execute(_SQL["wake_bridges"], {"channel": CHANNEL})


def count_waiting(conn: Connection, at_most: int) -> int:
    """Sessions that no run has begun yet, counted up to `at_most`."""
    counted: int = conn.execute(_SQL["count_waiting_sessions"], {"most": at_most}).scalar_one()
    return counted


def queue_figures(conn: Connection, bridge_name: str) -> QueueFigures:
    """bridge_name: the application name that bridges connect with."""
    rows = conn.execute(_SQL["depth"]).all()
    waiting = conn.execute(_SQL["waiting_sessions"]).one()
    long = conn.execute(_SQL["long_transactions"], {"long_s": LONG_TRANSACTION_S}).all()
    bridges: int = conn.execute(_SQL["count_bridges"], {"name": bridge_name}).scalar_one()
    due_s = max((row.oldest_due_s for row in rows if row.status == JobStatus.PENDING), default=0.0)
    return QueueFigures(
        depth=dict.fromkeys(JobStatus, 0) | {JobStatus(row.status): row.depth for row in rows},
        oldest_due_s=max(due_s, 0.0),
        waiting=waiting.number,
        with_run=waiting.with_run,
        oldest_waiting_s=waiting.oldest_s,
        long_transactions=tuple((name, seconds) for name, seconds in long),
        bridges=bridges,
        frontiers_waiting=count_waiting_frontiers(conn, MOST_COUNTED),
    )
