"""The outbox: which sessions still need a flow run, who is creating it, and what became of that.

A claim is fenced by `claim_id`: after its loss nothing is written. Where a statement needs both rows it takes the
session's before the outbox's, as everywhere, or skips what is locked; so no two of them deadlock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, text

from db.tables.outbox import JobStatus
from db.tables.sessions import ACTIVE

CHANNEL = "vcfolio_outbox"
"""Notified whenever a row becomes pending."""

ENQUEUE_FAILED = "enqueue_failed"
"""The error code of a session whose row ran out of attempts."""


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A row this process may enqueue, until it is stuck. payload: the parameters of the flow.

    waited_s: how long it had been due when it was claimed. claimed_at: by the database's clock.
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


@dataclass(frozen=True, slots=True)
class ReturnedJob:
    """A claim taken back. status: pending (it will be tried again) or failed.

    With a failed row fails its session, unless a run holds it: one that was made, though nobody noted it.
    """

    session_id: UUID
    status: JobStatus


_PUT_JOB = text("""
    WITH put AS (
      INSERT INTO job_outbox AS o (idempotency_key, session_id, epoch, payload, status, enqueued_at, next_run_at)
      VALUES (
        'optimization_session:' || CAST(:session AS uuid), :session, :epoch,
        jsonb_build_object('session_id', CAST(:session AS uuid), 'epoch', CAST(:epoch AS integer)),
        :status, CASE WHEN :status = 'enqueued' THEN now() END, now() + make_interval(secs => :delay_s)
      )
      ON CONFLICT (session_id) DO UPDATE SET
        epoch = excluded.epoch, payload = excluded.payload, status = excluded.status,
        enqueued_at = excluded.enqueued_at, next_run_at = excluded.next_run_at,
        attempts = 0, claim_id = NULL, processing_at = NULL, flow_run_id = NULL,
        begun_seen_at = NULL, error_reason = NULL, last_error = NULL
      RETURNING status
    )
    SELECT pg_notify(:channel, '') FROM put WHERE status = 'pending'
""")


def put_job(
    conn: Connection,
    session_id: UUID,
    epoch: int,
    status: Literal[JobStatus.PENDING, JobStatus.ENQUEUED],
    delay_s: float = 0.0,
) -> None:
    """Make the session's row say that this epoch needs a flow run (pending) or has one (enqueued), whatever it said."""
    conn.execute(
        _PUT_JOB,
        {"session": session_id, "epoch": epoch, "status": status.value, "delay_s": delay_s, "channel": CHANNEL},
    )


def close_job(conn: Connection, session_id: UUID, reason: str) -> bool:
    """See to it that no flow run is created any more. False when one was already, or there is no row."""
    closed = conn.execute(
        text("""
            UPDATE job_outbox
            SET status = 'failed', error_reason = :reason, claim_id = NULL, processing_at = NULL
            WHERE session_id = :session AND status IN ('pending', 'processing')
        """),
        {"session": session_id, "reason": reason},
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
SELECT c.job_id, c.claim_id, c.session_id, f.name, c.epoch, c.idempotency_key, c.payload, c.attempts, c.max_attempts,
       CAST(extract(epoch FROM clock_timestamp() - c.next_run_at) AS double precision) AS waited_s,
       now() AS claimed_at
FROM claimed c JOIN optimization_sessions s USING (session_id) JOIN funds f ON f.id = s.fund_id
ORDER BY c.next_run_at, c.created_at
"""


def claim_jobs(conn: Connection, limit: int) -> list[ClaimedJob]:
    """pending -> processing for at most `limit` due rows, the longest due first, passing over what others claim."""
    return [ClaimedJob(*row) for row in conn.execute(text(CLAIM_JOBS), {"limit": limit})]


def mark_enqueued(conn: Connection, made: Mapping[ClaimedJob, UUID]) -> set[UUID]:
    """processing -> enqueued with these flow runs. Returns the ids of the sessions whose claim still stood."""
    marked = conn.scalars(
        text("""
            UPDATE job_outbox o
            SET status = 'enqueued', enqueued_at = now(), flow_run_id = made.flow_run_id, last_error = NULL,
                claim_id = NULL, processing_at = NULL
            FROM unnest(CAST(:claims AS uuid[]), CAST(:runs AS uuid[])) AS made (claim_id, flow_run_id)
            WHERE o.status = 'processing' AND o.claim_id = made.claim_id
            RETURNING o.session_id
        """),
        {"claims": [job.claim_id for job in made], "runs": list(made.values())},
    )
    return set(marked)


def release_claims(conn: Connection, jobs: Sequence[ClaimedJob]) -> set[UUID]:
    """processing -> pending at no cost in attempts: it was not the rows' fault. Returns the sessions as above."""
    released = conn.scalars(
        text("""
            UPDATE job_outbox
            SET status = 'pending', attempts = attempts - 1, claim_id = NULL, processing_at = NULL
            WHERE status = 'processing' AND claim_id = ANY (CAST(:claims AS uuid[]))
            RETURNING session_id
        """),
        {"claims": [job.claim_id for job in jobs]},
    )
    return set(released)


_TAKE_BACK = f"""
WITH chosen AS ({{chosen}}),
returned AS (
  UPDATE job_outbox o
  SET status = CASE WHEN o.attempts < o.max_attempts THEN 'pending' ELSE 'failed' END,
      error_reason = CASE WHEN o.attempts < o.max_attempts THEN NULL ELSE :reason END,
      last_error = :reason,
      next_run_at = now() + make_interval(secs => chosen.delay_s),
      claim_id = NULL, processing_at = NULL
  FROM chosen WHERE o.job_id = chosen.job_id
  RETURNING o.session_id, o.epoch, o.status
), failed AS (
  UPDATE optimization_sessions s
  SET status = 'FAILED', error_code = :error_code, error_reason = :reason, completed_at = now(),
      lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL
  FROM returned r
  WHERE r.status = 'failed' AND s.session_id = r.session_id AND s.epoch = r.epoch
    AND s.{ACTIVE} AND (s.lease_expires_at IS NULL OR s.lease_expires_at <= now())
)
SELECT session_id, status FROM returned ORDER BY session_id
"""  # noqa: S608 - constants

_CHOOSE_CLAIM = """
  SELECT o.job_id, least(power(2, o.attempts), 300) AS delay_s
  FROM optimization_sessions s JOIN job_outbox o ON o.session_id = s.session_id
  WHERE s.session_id = :session_id AND o.job_id = :job_id AND o.claim_id = :claim_id
  FOR UPDATE
"""

_CHOOSE_STUCK = """
  SELECT o.job_id, 0.0 AS delay_s
  FROM optimization_sessions s JOIN job_outbox o ON o.session_id = s.session_id
  WHERE o.status = 'processing' AND o.processing_at < now() - make_interval(secs => :older_than_s)
  FOR UPDATE SKIP LOCKED
"""

RESET_STUCK = _TAKE_BACK.format(chosen=_CHOOSE_STUCK)


def fail_claim(conn: Connection, job: ClaimedJob, reason: str) -> JobStatus | None:
    """processing -> pending in min(2^attempts, 300) seconds, or -> failed, and its session with it, after max_attempts.

    None when the claim was lost.
    """
    row = conn.execute(
        text(_TAKE_BACK.format(chosen=_CHOOSE_CLAIM)),
        {
            "session_id": job.session_id,
            "job_id": job.job_id,
            "claim_id": job.claim_id,
            "reason": reason,
            "error_code": ENQUEUE_FAILED,
        },
    ).one_or_none()
    return None if row is None else JobStatus(row.status)


def reset_stuck(conn: Connection, older_than_s: float) -> list[ReturnedJob]:
    """Take back the claims of processes that died holding them: -> pending, or -> failed after max_attempts."""
    rows = conn.execute(
        text(RESET_STUCK),
        {
            "older_than_s": older_than_s,
            "reason": f"claimed, and not enqueued within {older_than_s:g} s",
            "error_code": ENQUEUE_FAILED,
        },
    )
    return [ReturnedJob(row.session_id, JobStatus(row.status)) for row in rows]
