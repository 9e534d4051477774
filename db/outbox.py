"""The outbox: which sessions and frontiers still need a flow run, who is creating it, and what became of that.

A claim is fenced by `claim_id`: after its loss nothing is written. Where a statement needs both rows it takes the
session's (or frontier's) before the outbox's, as everywhere, or skips what is locked; so no two of them deadlock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection

from db.sql import Statements
from db.tables.outbox import JobStatus, JobType

_SQL = Statements("outbox")

CHANNEL = "vcfolio_outbox"
"""Notified whenever a row becomes pending."""

ENQUEUE_FAILED = "enqueue_failed"
"""The error code of a session or frontier whose row ran out of attempts."""


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A row this process may enqueue, until it is stuck. payload: the parameters of the flow.

    session_id: of the session to carry, or of the one that the frontier to solve belongs to. waited_s: how long it had
    been due when it was claimed. claimed_at: by the database's clock.
    """

    job_id: UUID
    claim_id: UUID
    session_id: UUID
    fund_name: str
    epoch: int
    idempotency_key: str
    payload: dict[str, Any] = field(hash=False)
    attempts: int
    max_attempts: int
    waited_s: float
    claimed_at: datetime
    job_type: JobType = JobType.SESSION
    frontier_id: UUID | None = None

    @property
    def subject_id(self) -> UUID:
        """Of what the row is for: the session, or the frontier."""
        return self.session_id if self.frontier_id is None else self.frontier_id


@dataclass(frozen=True, slots=True)
class ReturnedJob:
    """A claim taken back. session_id: or the frontier's. status: pending (it will be tried again) or failed.

    With a failed row fails its session or frontier, unless a run holds it: one that was made, though nobody noted it.
    """

    session_id: UUID
    status: JobStatus


def put_job(
    conn: Connection,
    session_id: UUID,
    epoch: int,
    status: Literal[JobStatus.PENDING, JobStatus.ENQUEUED],
    delay_s: float = 0.0,
) -> None:
    """Make the session's row say that this epoch needs a flow run (pending) or has one (enqueued), whatever it said."""
    conn.execute(
        _SQL["put_session_job"],
        {"session": session_id, "epoch": epoch, "status": status.value, "delay_s": delay_s, "channel": CHANNEL},
    )


def put_frontier_job(conn: Connection, frontier_id: UUID, epoch: int, delay_s: float = 0.0) -> None:
    """Make the frontier's row say that this epoch needs a flow run, whatever it said."""
    pending = JobStatus.PENDING.value
    conn.execute(
        _SQL["put_frontier_job"],
        {"frontier": frontier_id, "epoch": epoch, "status": pending, "delay_s": delay_s, "channel": CHANNEL},
    )


def close_job(conn: Connection, session_id: UUID, reason: str) -> bool:
    """See to it that no flow run is created any more. False when one was already, or there is no row."""
    return conn.execute(_SQL["close_session_job"], {"session": session_id, "reason": reason}).rowcount == 1


def close_frontier_job(conn: Connection, frontier_id: UUID, reason: str) -> bool:
    """As `close_job`, for a frontier."""
    return conn.execute(_SQL["close_frontier_job"], {"frontier": frontier_id, "reason": reason}).rowcount == 1


def claim_jobs(conn: Connection, limit: int) -> list[ClaimedJob]:
    """pending -> processing for at most `limit` due rows, the longest due first, passing over what others claim."""
    rows = conn.execute(_SQL["claim_jobs"], {"limit": limit})
    return [ClaimedJob(**{**row, "job_type": JobType(row["job_type"])}) for row in rows.mappings()]


def mark_enqueued(conn: Connection, made: Mapping[ClaimedJob, UUID]) -> set[UUID]:
    """processing -> enqueued with these flow runs. Returns the ids of the sessions and frontiers whose claim
    still stood."""
    marked = conn.scalars(
        _SQL["mark_enqueued"],
        {"claims": [job.claim_id for job in made], "runs": list(made.values())},
    )
    return set(marked)


def release_claims(conn: Connection, jobs: Sequence[ClaimedJob]) -> set[UUID]:
    """processing -> pending at no cost in attempts: it was not the rows' fault. Returns the ids as above."""
    released = conn.scalars(_SQL["release_claims"], {"claims": [job.claim_id for job in jobs]})
    return set(released)


def fail_claim(conn: Connection, job: ClaimedJob, reason: str) -> JobStatus | None:
    """processing -> pending in min(2^attempts, 300) seconds, or -> failed, and its session or frontier with it, after
    max_attempts.

    None when the claim was lost.
    """
    row = conn.execute(
        _SQL["fail_session_claim"] if job.job_type == JobType.SESSION else _SQL["fail_frontier_claim"],
        {
            "subject_id": job.subject_id,
            "job_id": job.job_id,
            "claim_id": job.claim_id,
            "reason": reason,
            "error_code": ENQUEUE_FAILED,
        },
    ).one_or_none()
    return None if row is None else JobStatus(row.status)


def reset_stuck(conn: Connection, older_than_s: float) -> list[ReturnedJob]:
    """Take back the claims of processes that died holding them: -> pending, or -> failed after max_attempts."""
    values = {
        "older_than_s": older_than_s,
        "reason": f"claimed, and not enqueued within {older_than_s:g} s",
        "error_code": ENQUEUE_FAILED,
    }
    statements = _SQL["reset_stuck_sessions"], _SQL["reset_stuck_frontiers"]
    rows = [row for statement in statements for row in conn.execute(statement, values)]
    return [ReturnedJob(row.subject_id, JobStatus(row.status)) for row in rows]
