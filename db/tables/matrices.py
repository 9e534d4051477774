"""Scenario matrices, one row a key, and the history of the attempts to generate them.

    scenario_matrices:   generating -> complete | failed;  failed -> generating (rebuilt whole)
    matrix_generations:  unfinished -> complete | failed | abandoned (its lease ran out)

A row that is not complete has no payload: nothing stale can ever be read. No session refers to a matrix by foreign
key, so evicting a matrix never touches a session.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)

from db.tables.base import MATRIX_KEY_RULE, Json, Timestamp, check, created_at, json_type, metadata, one_of


class MatrixStatus(StrEnum):
    GENERATING = "generating"
    COMPLETE = "complete"
    FAILED = "failed"


class GenerationOutcome(StrEnum):
    COMPLETE = "complete"
    FAILED = "failed"
    ABANDONED = "abandoned"


PAYLOAD_COLUMNS = (
    "moic_matrix",
    "bucket_keys",
    "scenario_states",
    "bucket_params",
    "bucket_stats",
    "compression_codec",
    "matrix_layout",
    "bucket_count",
    "s_opt",
    "payload_sha256",
)

SHA256_RULE = "payload_sha256 ~ '^[0-9a-f]{64}$'"

scenario_matrices = Table(
    "scenario_matrices",
    metadata,
    Column("matrix_key", Text, primary_key=True),
    Column("matrix_key_json", Json, nullable=False, comment="the canonical key document, parameters included"),
    Column("key_schema_version", Text, nullable=False, server_default=text("'v1.2'")),
    Column("sim_model_version", Text, nullable=False),
    Column("calibration_version", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'generating'")),
    Column("generation", Integer, nullable=False, comment="of matrix_generations, the one that builds or built it"),
    Column("error_reason", Text),
    Column("moic_matrix", LargeBinary, comment="float32, shape (bucket_count, s_opt), compressed"),
    Column("bucket_keys", Json),
    Column("scenario_states", Json),
    Column("bucket_params", Json),
    Column("bucket_stats", Json, comment="per bucket, its win probability among them"),
    Column("compression_codec", Text),
    Column("matrix_layout", Text),
    Column("bucket_count", Integer),
    Column("s_opt", Integer, comment="number of scenarios"),
    Column("payload_sha256", Text, comment="of the raw values with shape and keys, not of the compressed bytes"),
    created_at(),
    Column("completed_at", Timestamp),
    Column("last_accessed_at", Timestamp, nullable=False, server_default=text("now()")),
    check("matrix_key", MATRIX_KEY_RULE),
    check("matrix_key_json", json_type("matrix_key_json", "object")),
    check("status", one_of("status", MatrixStatus)),
    check("generation", "generation > 0"),
    check(
        "payload_completeness",
        f"num_nonnulls({', '.join(PAYLOAD_COLUMNS)}) = "
        f"CASE WHEN status = 'complete' THEN {len(PAYLOAD_COLUMNS)} ELSE 0 END",
    ),
    check("completed_at_status", "(status IN ('complete', 'failed')) = (completed_at IS NOT NULL)"),
    check("error_reason_status", "(status = 'failed') = (error_reason IS NOT NULL)"),
    check("counts", "bucket_count > 0 AND s_opt > 0"),
    check("payload_sha256", SHA256_RULE),
    check("bucket_keys", json_type("bucket_keys", "array")),
    check("scenario_states", json_type("scenario_states", "array")),
    check("bucket_params", "jsonb_typeof(bucket_params) IN ('array', 'object')"),
    check("bucket_stats", "jsonb_typeof(bucket_stats) IN ('array', 'object')"),
    Index("idx_scenario_matrices_status", "status", "created_at"),
    Index("idx_scenario_matrices_last_accessed", "last_accessed_at"),
)

matrix_generations = Table(
    "matrix_generations",
    metadata,
    Column("matrix_key", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("session_id", Uuid, ForeignKey("optimization_sessions.session_id", ondelete="SET NULL")),
    Column("started_at", Timestamp, nullable=False, server_default=text("now()")),
    Column("lease_token", Uuid, nullable=False),
    Column("lease_expires_at", Timestamp, nullable=False),
    Column("finished_at", Timestamp),
    Column("outcome", Text),
    Column("payload_sha256", Text),
    Column("error_reason", Text),
    PrimaryKeyConstraint("matrix_key", "generation"),
    check("matrix_key", MATRIX_KEY_RULE),
    check("generation", "generation > 0"),
    check("outcome", one_of("outcome", GenerationOutcome)),
    check("finished_at_outcome", "(finished_at IS NULL) = (outcome IS NULL)"),
    check("payload_sha256", SHA256_RULE),
    check("payload_sha256_outcome", "(payload_sha256 IS NOT NULL) = (outcome IS NOT DISTINCT FROM 'complete')"),
    check("error_reason_outcome", "(error_reason IS NOT NULL) = (outcome IS NOT DISTINCT FROM 'failed')"),
    Index("uq_matrix_generations_unfinished", "matrix_key", unique=True, postgresql_where=text("finished_at IS NULL")),
    Index("idx_matrix_generations_started", "started_at"),
    Index("idx_matrix_generations_session", "session_id"),
)
