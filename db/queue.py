"""What waits and how long: for people who operate the outbox, for `vcfolio doctor`, for the bridge's metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from core.errors import BadInput, NotFound
from db.frontiers import count_waiting_frontiers
from db.outbox import CHANNEL
from db.tables.outbox import JobStatus, JobType

LONG_TRANSACTION_S = 60
MOST_COUNTED = 1_000_000

# Every row with the session that it is for, or whose frontier it is for.
_ROWS = """
  job_outbox o LEFT JOIN frontier_jobs j USING (frontier_id)
  JOIN optimization_sessions s ON s.session_id = coalesce(o.session_id, j.session_id)
"""
_CARRIED = "coalesce(j.status, s.status) NOT IN ('COMPLETED', 'FAILED')"


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
    rows = conn.execute(
        text(f"""
            SELECT coalesce(o.frontier_id, o.session_id) AS session_id, f.name AS fund,
                   o.status, o.epoch, o.attempts, o.max_attempts,
                   CAST(extract(epoch FROM o.next_run_at - now()) AS double precision) AS due_in_s,
                   o.last_error, o.flow_run_id, o.created_at, o.job_type
            FROM {_ROWS} JOIN funds f ON f.id = s.fund_id
            WHERE {_CARRIED}
            ORDER BY o.next_run_at, o.created_at LIMIT :limit
        """),  # noqa: S608 - constants
        {"limit": limit},
    )
    return [
        JobRow(**{**row, "status": JobStatus(row["status"]), "job_type": JobType(row["job_type"])})
        for row in rows.mappings()
    ]


def redrive(conn: Connection, session_id: UUID) -> None:
    """Make a pending row of a session or frontier due now, with all its attempts before it.

    Raises NotFound where there is no row, BadInput for one that is not pending: what is claimed, has its flow run or
    has failed takes its own way.
    """
    status = conn.scalar(
        text("SELECT status FROM job_outbox WHERE session_id = :session OR frontier_id = :session FOR UPDATE"),
        {"session": session_id},
    )
    if status is None:
        raise NotFound.of("SESSION_ID", str(session_id), "has no row in the outbox; see `vcfolio outbox list`")
    if status != JobStatus.PENDING:
        raise BadInput.of("SESSION_ID", str(session_id), f"must have a pending row; it is {status}")
    conn.execute(
        text("UPDATE job_outbox SET next_run_at = now(), attempts = 0 WHERE :session IN (session_id, frontier_id)"),
        {"session": session_id},
    )
    conn.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


def count_waiting(conn: Connection, at_most: int) -> int:
    """Sessions that no run has begun yet, counted up to `at_most`."""
    counted: int = conn.execute(
        text(
            "SELECT count(*) FROM (SELECT FROM optimization_sessions WHERE status = 'REQUESTED' LIMIT :most) AS waiting"
        ),
        {"most": at_most},
    ).scalar_one()
    return counted


def queue_figures(conn: Connection, bridge_name: str) -> QueueFigures:
    """bridge_name: the application name that bridges connect with."""
    rows = conn.execute(
        text(f"""
            SELECT o.status, count(*) AS depth,
              CAST(max(extract(epoch FROM now() - o.next_run_at)) AS double precision) AS oldest_due_s
            FROM {_ROWS} WHERE {_CARRIED} GROUP BY o.status
        """)  # noqa: S608 - constants
    ).all()
    waiting = conn.execute(
        text("""
            SELECT count(*) AS number, count(*) FILTER (WHERE o.status = 'enqueued') AS with_run,
              CAST(coalesce(extract(epoch FROM now() - min(s.created_at)), 0) AS double precision) AS oldest_s
            FROM optimization_sessions s LEFT JOIN job_outbox o USING (session_id) WHERE s.status = 'REQUESTED'
        """)
    ).one()
    long = conn.execute(
        text("""
            SELECT coalesce(nullif(application_name, ''), 'unnamed'),
              CAST(extract(epoch FROM clock_timestamp() - xact_start) AS double precision)
            FROM pg_stat_activity
            WHERE datname = current_database() AND xact_start < clock_timestamp() - make_interval(secs => :long_s)
            ORDER BY xact_start
        """),
        {"long_s": LONG_TRANSACTION_S},
    ).all()
    bridges: int = conn.execute(
        text("""
            SELECT count(DISTINCT application_name) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name LIKE :name || '%'
        """),
        {"name": bridge_name},
    ).scalar_one()
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
