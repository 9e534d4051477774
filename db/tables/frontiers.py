"""Frontiers: stored jobs, carried by a flow like sessions, and the points that they have solved.

    REQUESTED -> SOLVING -> COMPLETED
    REQUESTED, SOLVING -> FAILED -> REQUESTED (asked for again)

`epoch` and `lease_token` fence a job as they do a session. A point belongs to no job: it is kept under what decides it,
so that every frontier that needs the same point finds it solved.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Column, Double, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, Uuid, text

from db.tables.base import MATRIX_KEY_RULE, Json, Timestamp, check, created_at, json_type, metadata, new_uuid, one_of
from db.tables.sessions import ACTIVE


class FrontierStatus(StrEnum):
    REQUESTED = "REQUESTED"
    SOLVING = "SOLVING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


frontier_jobs = Table(
    "frontier_jobs",
    metadata,
    Column("frontier_id", Uuid, primary_key=True, server_default=new_uuid()),
    Column(
        "session_id",
        Uuid,
        ForeignKey("optimization_sessions.session_id", ondelete="CASCADE"),
        nullable=False,
        comment="the completed session whose request and scenarios it varies",
    ),
    Column("created_by", Uuid, ForeignKey("users.id"), nullable=False),
    Column("vary", Json, nullable=False, comment="field and values, from the tightest to the loosest"),
    Column("vary_hash", Text, nullable=False),
    Column("request", Json, nullable=False, comment="the session's, with its calibration named"),
    Column("matrix_key", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'REQUESTED'")),
    Column("error_code", Text),
    Column("error_reason", Text),
    Column("epoch", Integer, nullable=False, server_default=text("0")),
    Column("lease_token", Uuid),
    Column("lease_expires_at", Timestamp),
    Column("lease_owner", Text, comment="for people: host and process of the run"),
    Column("rescues", Integer, nullable=False, server_default=text("0"), comment="how often its lease ran out"),
    Column("flow_run_id", Uuid),
    Column("solved", Integer, nullable=False, server_default=text("0"), comment="points that this run has"),
    Column("document", Json, comment="the frontier, as `vcfolio frontier --json` prints it"),
    created_at(),
    Column("started_at", Timestamp),
    Column("completed_at", Timestamp),
    UniqueConstraint("session_id", "vary_hash"),
    check("vary", json_type("vary", "object")),
    check("vary_hash", "vary_hash ~ '^[0-9a-f]{64}$'"),
    check("request", json_type("request", "object")),
    check("matrix_key", MATRIX_KEY_RULE),
    check("status", one_of("status", FrontierStatus)),
    check("epoch", "epoch >= 0"),
    check("rescues", "rescues >= 0"),
    check("solved", "solved >= 0"),
    check("lease", "num_nonnulls(lease_token, lease_expires_at) <> 1"),
    check("lease_owner", "lease_owner IS NULL OR lease_token IS NOT NULL"),
    check("lease_status", "lease_token IS NULL OR status = 'SOLVING'"),
    check("started_at_status", "status <> 'SOLVING' OR started_at IS NOT NULL"),
    check("completed_at_status", "(status IN ('COMPLETED', 'FAILED')) = (completed_at IS NOT NULL)"),
    check("error_status", "num_nonnulls(error_code, error_reason) = CASE WHEN status = 'FAILED' THEN 2 ELSE 0 END"),
    check("document", json_type("document", "object")),
    check("document_status", "(status = 'COMPLETED') = (document IS NOT NULL)"),
    Index("idx_frontier_jobs_active", "lease_expires_at", postgresql_where=text(ACTIVE)),
    Index("idx_frontier_jobs_active_matrix", "matrix_key", postgresql_where=text(ACTIVE)),
)

frontier_points = Table(
    "frontier_points",
    metadata,
    Column("point_key", Text, primary_key=True, comment="sha256 of configuration, matrix key and starting weights"),
    Column("matrix_key", Text, nullable=False),
    Column("value", Double, nullable=False, comment="of the varied limit"),
    Column("point", Json, nullable=False, comment="core.frontier.point.FrontierPoint"),
    created_at(),
    Column("last_used_at", Timestamp, nullable=False, server_default=text("now()")),
    check("point_key", "point_key ~ '^[0-9a-f]{64}$'"),
    check("matrix_key", MATRIX_KEY_RULE),
    check("value", "value > '-Infinity' AND value < 'Infinity'"),
    check("point", json_type("point", "object")),
    Index("idx_frontier_points_last_used", "last_used_at"),
)
