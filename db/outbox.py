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

from sqlalchemy import Connection, text

from db.tables.outbox import JobStatus, JobType
from db.tables.sessions import ACTIVE

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


_PUT_JOB = """
    WITH put AS (
      INSERT INTO job_outbox AS o (
        idempotency_key, job_type, {key}, epoch, payload, status, enqueued_at, next_run_at
      )
      VALUES (
        '{job_type}:' || CAST(:subject AS uuid), '{job_type}', :subject, :epoch,
        jsonb_build_object('{key}', CAST(:subject AS uuid), 'epoch', CAST(:epoch AS integer)),
        :status, CASE WHEN :status = 'enqueued' THEN now() END, now() + make_interval(secs => :delay_s)
      )
      ON CONFLICT ({key}) DO UPDATE SET
        epoch = excluded.epoch, payload = excluded.payload, status = excluded.status,
        enqueued_at = excluded.enqueued_at, next_run_at = excluded.next_run_at,
        attempts = 0, claim_id = NULL, processing_at = NULL, flow_run_id = NULL,
        begun_seen_at = NULL, error_reason = NULL, last_error = NULL
      RETURNING status
    )
    SELECT pg_notify(:channel, '') FROM put WHERE status = 'pending'
"""
_PUT_SESSION_JOB = text(_PUT_JOB.format(key="session_id", job_type=JobType.SESSION))
_PUT_FRONTIER_JOB = text(_PUT_JOB.format(key="frontier_id", job_type=JobType.FRONTIER))


def put_job(
    conn: Connection,
    session_id: UUID,
    epoch: int,
    status: Literal[JobStatus.PENDING, JobStatus.ENQUEUED],
    delay_s: float = 0.0,
) -> None:
    """Make the session's row say that this epoch needs a flow run (pending) or has one (enqueued), whatever it said."""
    conn.execute(
        _PUT_SESSION_JOB,
        {"subject": session_id, "epoch": epoch, "status": status.value, "delay_s": delay_s, "channel": CHANNEL},
    )


def put_frontier_job(conn: Connection, frontier_id: UUID, epoch: int, delay_s: float = 0.0) -> None:
    """Make the frontier's row say that this epoch needs a flow run, whatever it said."""
    pending = JobStatus.PENDING.value
    conn.execute(
        _PUT_FRONTIER_JOB,
        {"subject": frontier_id, "epoch": epoch, "status": pending, "delay_s": delay_s, "channel": CHANNEL},
    )


def close_job(conn: Connection, session_id: UUID, reason: str) -> bool:
    """See to it that no flow run is created any more. False when one was already, or there is no row."""
    return _close(conn, "session_id", session_id, reason)


def close_frontier_job(conn: Connection, frontier_id: UUID, reason: str) -> bool:
    """As `close_job`, for a frontier."""
    return _close(conn, "frontier_id", frontier_id, reason)


def _close(conn: Connection, key: Literal["session_id", "frontier_id"], subject: UUID, reason: str) -> bool:
    closed = conn.execute(
        text(f"""
            UPDATE job_outbox
            SET status = 'failed', error_reason = :reason, claim_id = NULL, processing_at = NULL
            WHERE {key} = :subject AND status IN ('pending', 'processing')
        """),  # noqa: S608 - constants
        {"subject": subject, "reason": reason},
    )
    return closed.rowcount == 1


CLAIM_JOBS = """
WITH due AS (
  SELECT job_id FROM job_outbox
  WHERE status = 'pending' AND next_run_at <= now()
  ORDER BY next_run_at, created_at
  LIMIT :limit
  FOR UPDATE SKIP LOCKED
), claimed AS (
  UPDATE job_outbox j
  SET status = 'processing', attempts = attempts + 1, claim_id = gen_random_uuid(), processing_at = now()
  FROM due WHERE j.job_id = due.job_id
  RETURNING j.*
)
SELECT c.job_id, c.claim_id, s.session_id, f.name AS fund_name, c.epoch, c.idempotency_key, c.payload,
       c.attempts, c.max_attempts,
       CAST(extract(epoch FROM clock_timestamp() - c.next_run_at) AS double precision) AS waited_s,
       now() AS claimed_at, c.job_type, c.frontier_id
FROM claimed c LEFT JOIN frontier_jobs j ON j.frontier_id = c.frontier_id
JOIN optimization_sessions s ON s.session_id = coalesce(c.session_id, j.session_id)
JOIN funds f ON f.id = s.fund_id
ORDER BY c.next_run_at, c.created_at
"""


def claim_jobs(conn: Connection, limit: int) -> list[ClaimedJob]:
    """pending -> processing for at most `limit` due rows, the longest due first, passing over what others claim."""
    rows = conn.execute(text(CLAIM_JOBS), {"limit": limit})
    return [ClaimedJob(**{**row, "job_type": JobType(row["job_type"])}) for row in rows.mappings()]


def mark_enqueued(conn: Connection, made: Mapping[ClaimedJob, UUID]) -> set[UUID]:
    """processing -> enqueued with these flow runs. Returns the ids of the sessions and frontiers whose claim
    still stood."""
    marked = conn.scalars(
        text("""
            UPDATE job_outbox o
            SET status = 'enqueued', enqueued_at = now(), flow_run_id = made.flow_run_id, last_error = NULL,
                claim_id = NULL, processing_at = NULL
            FROM unnest(CAST(:claims AS uuid[]), CAST(:runs AS uuid[])) AS made (claim_id, flow_run_id)
            WHERE o.status = 'processing' AND o.claim_id = made.claim_id
            RETURNING coalesce(o.frontier_id, o.session_id)
        """),
        {"claims": [job.claim_id for job in made], "runs": list(made.values())},
    )
    return set(marked)


def release_claims(conn: Connection, jobs: Sequence[ClaimedJob]) -> set[UUID]:
    """processing -> pending at no cost in attempts: it was not the rows' fault. Returns the ids as above."""
    released = conn.scalars(
        text("""
            UPDATE job_outbox
            SET status = 'pending', attempts = attempts - 1, claim_id = NULL, processing_at = NULL
            WHERE status = 'processing' AND claim_id = ANY (CAST(:claims AS uuid[]))
            RETURNING coalesce(frontier_id, session_id)
        """),
        {"claims": [job.claim_id for job in jobs]},
    )
    return set(released)


_TAKE_BACK = """
WITH chosen AS ({chosen}),
returned AS (
  UPDATE job_outbox o
  SET status = CASE WHEN o.attempts < o.max_attempts THEN 'pending' ELSE 'failed' END,
      error_reason = CASE WHEN o.attempts < o.max_attempts THEN NULL ELSE :reason END,
      last_error = :reason,
      next_run_at = now() + make_interval(secs => chosen.delay_s),
      claim_id = NULL, processing_at = NULL
  FROM chosen WHERE o.job_id = chosen.job_id
  RETURNING o.{key} AS subject_id, o.epoch, o.status
), failed AS (
  UPDATE {table} s
  SET status = 'FAILED', error_code = :error_code, error_reason = :reason, completed_at = now(),
      lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL
  FROM returned r
  WHERE r.status = 'failed' AND s.{key} = r.subject_id AND s.epoch = r.epoch
    AND s.{active} AND (s.lease_expires_at IS NULL OR s.lease_expires_at <= now())
)
SELECT subject_id, status FROM returned ORDER BY subject_id
"""

_CHOOSE_CLAIM = """
  SELECT o.job_id, least(power(2, o.attempts), 300) AS delay_s
  FROM {table} s JOIN job_outbox o ON o.{key} = s.{key}
  WHERE s.{key} = :subject_id AND o.job_id = :job_id AND o.claim_id = :claim_id
  FOR UPDATE
"""

_CHOOSE_STUCK = """
  SELECT o.job_id, 0.0 AS delay_s
  FROM {table} s JOIN job_outbox o ON o.{key} = s.{key}
  WHERE o.status = 'processing' AND o.processing_at < now() - make_interval(secs => :older_than_s)
  FOR UPDATE SKIP LOCKED
"""

_TABLES = {
    JobType.SESSION: {"table": "optimization_sessions", "key": "session_id", "active": ACTIVE},
    JobType.FRONTIER: {"table": "frontier_jobs", "key": "frontier_id", "active": ACTIVE},
}


def _take_back(chosen: str, job_type: JobType) -> str:
    names = _TABLES[job_type]
    return _TAKE_BACK.format(chosen=chosen.format(**names), **names)


RESET_STUCK = _take_back(_CHOOSE_STUCK, JobType.SESSION)
RESET_STUCK_FRONTIERS = _take_back(_CHOOSE_STUCK, JobType.FRONTIER)


def fail_claim(conn: Connection, job: ClaimedJob, reason: str) -> JobStatus | None:
    """processing -> pending in min(2^attempts, 300) seconds, or -> failed, and its session or frontier with it, after
    max_attempts.

    None when the claim was lost.
    """
    row = conn.execute(
        text(_take_back(_CHOOSE_CLAIM, job.job_type)),
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
    rows = [row for statement in (RESET_STUCK, RESET_STUCK_FRONTIERS) for row in conn.execute(text(statement), values)]
    return [ReturnedJob(row.subject_id, JobStatus(row.status)) for row in rows]
