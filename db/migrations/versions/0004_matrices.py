"""Scenario matrices and the history of their generations."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_matrices()
    _create_generations()


def _create_matrices() -> None:
    op.execute(r"""
CREATE TABLE scenario_matrices (
  matrix_key TEXT NOT NULL,
  matrix_key_json JSONB NOT NULL,
  key_schema_version TEXT NOT NULL DEFAULT 'v1.2',
  sim_model_version TEXT NOT NULL,
  calibration_version TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'generating',
  generation INTEGER NOT NULL,
  error_reason TEXT,
  moic_matrix BYTEA,
  bucket_keys JSONB,
  scenario_states JSONB,
  bucket_params JSONB,
  bucket_stats JSONB,
  compression_codec TEXT,
  matrix_layout TEXT,
  bucket_count INTEGER,
  s_opt INTEGER,
  payload_sha256 TEXT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  completed_at TIMESTAMPTZ,
  last_accessed_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT pk_scenario_matrices PRIMARY KEY (matrix_key),
  CONSTRAINT chk_matrix_key CHECK (matrix_key ~ '^matrix_v1\.2_[0-9a-f]{64}$'),
  CONSTRAINT chk_matrix_key_json CHECK (jsonb_typeof(matrix_key_json) = 'object'),
  CONSTRAINT chk_status CHECK (status IN ('generating', 'complete', 'failed')),
  CONSTRAINT chk_generation CHECK (generation > 0),
  CONSTRAINT chk_payload_completeness CHECK (
    num_nonnulls(moic_matrix, bucket_keys, scenario_states, bucket_params, bucket_stats, compression_codec,
                 matrix_layout, bucket_count, s_opt, payload_sha256)
    = CASE WHEN status = 'complete' THEN 10 ELSE 0 END
  ),
  CONSTRAINT chk_completed_at_status CHECK ((status IN ('complete', 'failed')) = (completed_at IS NOT NULL)),
  CONSTRAINT chk_error_reason_status CHECK ((status = 'failed') = (error_reason IS NOT NULL)),
  CONSTRAINT chk_counts CHECK (bucket_count > 0 AND s_opt > 0),
  CONSTRAINT chk_payload_sha256 CHECK (payload_sha256 ~ '^[0-9a-f]{64}$'),
  CONSTRAINT chk_bucket_keys CHECK (jsonb_typeof(bucket_keys) = 'array'),
  CONSTRAINT chk_scenario_states CHECK (jsonb_typeof(scenario_states) = 'array'),
  CONSTRAINT chk_bucket_params CHECK (jsonb_typeof(bucket_params) IN ('array', 'object')),
  CONSTRAINT chk_bucket_stats CHECK (jsonb_typeof(bucket_stats) IN ('array', 'object'))
)
""")
    for column, comment in MATRIX_COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN scenario_matrices.{column} IS '{comment}'")
    op.execute("CREATE INDEX idx_scenario_matrices_status ON scenario_matrices (status, created_at)")
    op.execute("CREATE INDEX idx_scenario_matrices_last_accessed ON scenario_matrices (last_accessed_at)")


def _create_generations() -> None:
    op.execute(r"""
CREATE TABLE matrix_generations (
  matrix_key TEXT NOT NULL,
  generation INTEGER NOT NULL,
  session_id UUID,
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  lease_token UUID NOT NULL,
  lease_expires_at TIMESTAMPTZ NOT NULL,
  finished_at TIMESTAMPTZ,
  outcome TEXT,
  payload_sha256 TEXT,
  error_reason TEXT,
  CONSTRAINT pk_matrix_generations PRIMARY KEY (matrix_key, generation),
  CONSTRAINT fk_matrix_generations_session_id FOREIGN KEY (session_id)
    REFERENCES optimization_sessions (session_id) ON DELETE SET NULL,
  CONSTRAINT chk_matrix_key CHECK (matrix_key ~ '^matrix_v1\.2_[0-9a-f]{64}$'),
  CONSTRAINT chk_generation CHECK (generation > 0),
  CONSTRAINT chk_outcome CHECK (outcome IN ('complete', 'failed', 'abandoned')),
  CONSTRAINT chk_finished_at_outcome CHECK ((finished_at IS NULL) = (outcome IS NULL)),
  CONSTRAINT chk_payload_sha256 CHECK (payload_sha256 ~ '^[0-9a-f]{64}$'),
  CONSTRAINT chk_payload_sha256_outcome CHECK (
    (payload_sha256 IS NOT NULL) = (outcome IS NOT DISTINCT FROM 'complete')
  ),
  CONSTRAINT chk_error_reason_outcome CHECK (
    (error_reason IS NOT NULL) = (outcome IS NOT DISTINCT FROM 'failed')
  )
)
""")
    op.execute("""
CREATE UNIQUE INDEX uq_matrix_generations_unfinished ON matrix_generations (matrix_key) WHERE finished_at IS NULL
""")
    op.execute("CREATE INDEX idx_matrix_generations_started ON matrix_generations (started_at)")
    op.execute("CREATE INDEX idx_matrix_generations_session ON matrix_generations (session_id)")


MATRIX_COMMENTS = {
    "matrix_key_json": "the canonical key document, parameters included",
    "generation": "of matrix_generations, the one that builds or built it",
    "moic_matrix": "float32, shape (bucket_count, s_opt), compressed",
    "bucket_stats": "per bucket, its win probability among them",
    "s_opt": "number of scenarios",
    "payload_sha256": "of the raw values with shape and keys, not of the compressed bytes",
}


def downgrade() -> None:
    op.execute("DROP TABLE matrix_generations")
    op.execute("DROP TABLE scenario_matrices")
