"""Optimization sessions. What must hold in each state is in the CHECKs; the edges are in `core.session_states`.

    REQUESTED -> MATRIX_GENERATING -> OPTIMIZING -> VALIDATING -> COMPLETED
    any state that is not terminal -> FAILED

`epoch` counts the attempts to run a session, `lease_token` names the run that owns it now.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from sqlalchemy import (
    Column,
    Connection,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    event,
    text,
)

from core.session_states import SessionStatus
from db.tables.base import MATRIX_KEY_RULE, Json, Timestamp, check, created_at, json_type, metadata, new_uuid, one_of

Driver = Literal["bridge", "inline"]
"""Who starts the flow: the bridge from the outbox row, or the process that created the session."""

MatrixOrigin = Literal["generated", "hit"]

ACTIVE = "status NOT IN ('COMPLETED', 'FAILED')"

_JSON_OBJECTS = ("request", "normalized_config", "matrix_key_json", "progress", "solver_metadata", "validation_metrics")

optimization_sessions = Table(
    "optimization_sessions",
    metadata,
    Column("session_id", Uuid, primary_key=True, server_default=new_uuid()),
    Column("fund_id", Uuid, ForeignKey("funds.id"), nullable=False),
    Column("created_by", Uuid, ForeignKey("users.id"), nullable=False),
    Column("driver", Text, nullable=False),
    Column("client_key", Text, comment="the caller's idempotency key"),
    Column("request_hash", Text, nullable=False, comment="of the validated request before defaults are resolved"),
    Column("request", Json, nullable=False, comment="as asked"),
    Column("normalized_config", Json, nullable=False, comment="every default resolved, frozen"),
    Column("matrix_key", Text, nullable=False),
    Column("matrix_key_json", Json, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'REQUESTED'")),
    Column("error_code", Text),
    Column("error_reason", Text),
    Column("epoch", Integer, nullable=False, server_default=text("0")),
    Column("lease_token", Uuid),
    Column("lease_expires_at", Timestamp),
    Column("lease_owner", Text, comment="for people: host and process of the run"),
    Column("unclassified_failures", Integer, nullable=False, server_default=text("0")),
    Column("flow_run_id", Uuid),
    Column("progress", Json),
    Column("matrix_generation", Integer),
    Column("matrix_origin", Text),
    Column("allocation", Json),
    Column("solver_metadata", Json),
    Column("pass1_e_star", Double, comment="expected MOIC of the first pass"),
    Column("primary_lock_epsilon", Double, comment="absolute, in MOIC"),
    Column("validation_metrics", Json),
    created_at(),
    Column("matrix_started_at", Timestamp),
    Column("matrix_completed_at", Timestamp),
    Column("optimization_started_at", Timestamp),
    Column("optimization_completed_at", Timestamp),
    Column("validation_started_at", Timestamp),
    Column("completed_at", Timestamp),
    Column("rescues", Integer, nullable=False, server_default=text("0"), comment="how often its lease ran out"),
    UniqueConstraint("fund_id", "client_key"),
    check("driver", one_of("driver", get_args(Driver))),
    check("client_key", "char_length(client_key) BETWEEN 1 AND 200"),
    check("request_hash", "request_hash <> ''"),
    check("matrix_key", MATRIX_KEY_RULE),
    check("status", one_of("status", SessionStatus)),
    check("epoch", "epoch >= 0"),
    check("unclassified_failures", "unclassified_failures >= 0"),
    check("rescues", "rescues >= 0"),
    check("lease", "num_nonnulls(lease_token, lease_expires_at) <> 1"),
    check("lease_owner", "lease_owner IS NULL OR lease_token IS NOT NULL"),
    check("lease_status", f"lease_token IS NULL OR {ACTIVE}"),
    check("completed_at_status", "(status IN ('COMPLETED', 'FAILED')) = (completed_at IS NOT NULL)"),
    check("error_status", "num_nonnulls(error_code, error_reason) = CASE WHEN status = 'FAILED' THEN 2 ELSE 0 END"),
    check("matrix_origin", one_of("matrix_origin", get_args(MatrixOrigin))),
    check("matrix_generation", "matrix_generation > 0"),
    check(
        "matrix_status",
        "num_nonnulls(matrix_generation, matrix_origin) = CASE"
        " WHEN status IN ('REQUESTED', 'MATRIX_GENERATING') THEN 0"
        " WHEN status = 'FAILED' AND matrix_generation IS NULL THEN 0 ELSE 2 END",
    ),
    check(
        "allocation_status",
        "CASE WHEN status IN ('VALIDATING', 'COMPLETED')"
        " THEN num_nulls(allocation, solver_metadata, pass1_e_star, primary_lock_epsilon) = 0"
        " WHEN status = 'FAILED' THEN true"
        " ELSE num_nonnulls(allocation, solver_metadata, pass1_e_star, primary_lock_epsilon) = 0 END",
    ),
    check(
        "validation_status",
        "CASE WHEN status = 'COMPLETED' THEN validation_metrics IS NOT NULL"
        " WHEN status = 'FAILED' THEN true ELSE validation_metrics IS NULL END",
    ),
    check(
        "stage_timestamps",
        "CASE status"
        " WHEN 'REQUESTED' THEN num_nonnulls(matrix_started_at, matrix_completed_at, optimization_started_at,"
        " optimization_completed_at, validation_started_at) = 0"
        " WHEN 'MATRIX_GENERATING' THEN matrix_started_at IS NOT NULL AND num_nonnulls(matrix_completed_at,"
        " optimization_started_at, optimization_completed_at, validation_started_at) = 0"
        " WHEN 'OPTIMIZING' THEN num_nulls(matrix_started_at, matrix_completed_at, optimization_started_at) = 0"
        " AND num_nonnulls(optimization_completed_at, validation_started_at) = 0"
        " WHEN 'FAILED' THEN true"
        " ELSE num_nulls(matrix_started_at, matrix_completed_at, optimization_started_at,"
        " optimization_completed_at, validation_started_at) = 0 END",
    ),
    # NaN counts as greater than Infinity in PostgreSQL, so the upper bounds refuse both.
    check("pass1_e_star", "pass1_e_star > '-Infinity' AND pass1_e_star < 'Infinity'"),
    check("primary_lock_epsilon", "primary_lock_epsilon >= 0 AND primary_lock_epsilon < 'Infinity'"),
    check("allocation", json_type("allocation", "array")),
    *(check(column, json_type(column, "object")) for column in _JSON_OBJECTS),
    Index("idx_optimization_sessions_fund", "fund_id", text("created_at DESC")),
    Index("idx_optimization_sessions_status", "status", "created_at"),
    Index("idx_optimization_sessions_matrix_key", "matrix_key"),
    Index("idx_optimization_sessions_lease", "lease_expires_at", postgresql_where=text(ACTIVE)),
    Index("idx_optimization_sessions_completed", "completed_at", postgresql_where=text("completed_at IS NOT NULL")),
)

CHANGES = "vcfolio_sessions"
ALL_SESSIONS = "*"
"""The channel on which PostgreSQL says which session was created or changed: its id."""

_SAY_CHANGES = (
    f"""
CREATE FUNCTION notify_session_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('{CHANGES}', NEW.session_id::text);
  RETURN NULL;
END $$
""",
    """
CREATE TRIGGER optimization_sessions_created AFTER INSERT ON optimization_sessions
FOR EACH ROW EXECUTE FUNCTION notify_session_change()
""",
    """
CREATE TRIGGER optimization_sessions_changed AFTER UPDATE OF status, progress, epoch ON optimization_sessions
FOR EACH ROW WHEN ((OLD.status, OLD.progress, OLD.epoch) IS DISTINCT FROM (NEW.status, NEW.progress, NEW.epoch))
EXECUTE FUNCTION notify_session_change()
""",
)


@event.listens_for(optimization_sessions, "after_create")
def _make_changes_known(_table: Table, connection: Connection, **_options: Any) -> None:
    for statement in _SAY_CHANGES:
        connection.execute(text(statement))
