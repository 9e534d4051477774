"""The outbox: one row a session or frontier, from which the bridge starts a flow run for each epoch.

pending -> processing (claimed) -> enqueued
processing -> pending (released, failed with attempts left, or stuck) | failed (no attempts left)
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, Uuid, text

from db.tables.base import Json, Timestamp, check, created_at, json_type, metadata, new_uuid, one_of


class JobType(StrEnum):
    """What a row asks to be carried: also the beginning of its idempotency key."""

    SESSION = "optimization_session"
    FRONTIER = "frontier"


class JobStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    ENQUEUED = "enqueued"
    FAILED = "failed"


job_outbox = Table(
    "job_outbox",
    metadata,
    Column("job_id", Uuid, primary_key=True, server_default=new_uuid()),
    Column("idempotency_key", Text, nullable=False),
    Column("job_type", Text, nullable=False, server_default=text("'optimization_session'")),
    Column(
        "session_id",
        Uuid,
        ForeignKey("optimization_sessions.session_id", ondelete="CASCADE"),
    ),
    Column("epoch", Integer, nullable=False, server_default=text("0")),
    Column("payload", Json, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'pending'")),
    Column("error_reason", Text),
    Column("last_error", Text, comment="of the latest attempt that failed"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("max_attempts", Integer, nullable=False, server_default=text("3")),
    Column("next_run_at", Timestamp, nullable=False, server_default=text("now()")),
    Column("claim_id", Uuid),
    Column("processing_at", Timestamp),
    Column("enqueued_at", Timestamp),
    Column("flow_run_id", Uuid),
    created_at(),
    Column("begun_seen_at", Timestamp, comment="when the flow run was first seen to have begun without the session"),
    Column("frontier_id", Uuid, ForeignKey("frontier_jobs.frontier_id", ondelete="CASCADE")),
    UniqueConstraint("idempotency_key"),
    UniqueConstraint("session_id"),
    UniqueConstraint("frontier_id"),
    check("job_type", one_of("job_type", JobType)),
    check(
        "job_subject",
        "CASE job_type WHEN 'optimization_session' THEN session_id IS NOT NULL AND frontier_id IS NULL"
        " ELSE session_id IS NULL AND frontier_id IS NOT NULL END",
    ),
    check("idempotency_key", "idempotency_key = job_type || ':' || coalesce(session_id, frontier_id)"),
    check("payload", json_type("payload", "object")),
    check("status", one_of("status", JobStatus)),
    check("epoch", "epoch >= 0"),
    check("attempts", "attempts >= 0 AND attempts <= max_attempts"),
    # The next claim counts one more; without this a spent row could be claimed for ever, or break every claim.
    check("attempts_left", "status <> 'pending' OR attempts < max_attempts"),
    check("claim_status", "num_nonnulls(claim_id, processing_at) = CASE WHEN status = 'processing' THEN 2 ELSE 0 END"),
    check("enqueued_at_status", "(status = 'enqueued') = (enqueued_at IS NOT NULL)"),
    check("error_reason_status", "(status = 'failed') = (error_reason IS NOT NULL)"),
    Index("idx_job_outbox_claim", "next_run_at", "created_at", postgresql_where=text("status = 'pending'")),
    Index("idx_job_outbox_created", "created_at"),
    Index("idx_job_outbox_stuck", "status", "processing_at", postgresql_where=text("status = 'processing'")),
)
