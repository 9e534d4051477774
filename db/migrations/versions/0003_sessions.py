"""Optimization sessions."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE TABLE optimization_sessions (
  session_id UUID NOT NULL DEFAULT gen_random_uuid(),
  fund_id UUID NOT NULL,
  created_by UUID NOT NULL,
  driver TEXT NOT NULL,
  client_key TEXT,
  request_hash TEXT NOT NULL,
  request JSONB NOT NULL,
  normalized_config JSONB NOT NULL,
  matrix_key TEXT NOT NULL,
  matrix_key_json JSONB NOT NULL,
  status TEXT NOT NULL DEFAULT 'REQUESTED',
  error_code TEXT,
  error_reason TEXT,
  epoch INTEGER NOT NULL DEFAULT 0,
  lease_token UUID,
  lease_expires_at TIMESTAMPTZ,
  lease_owner TEXT,
  unclassified_failures INTEGER NOT NULL DEFAULT 0,
  flow_run_id UUID,
  progress JSONB,
  matrix_generation INTEGER,
  matrix_origin TEXT,
  allocation JSONB,
  solver_metadata JSONB,
  pass1_e_star DOUBLE PRECISION,
  primary_lock_epsilon DOUBLE PRECISION,
  validation_metrics JSONB,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  matrix_started_at TIMESTAMPTZ,
  matrix_completed_at TIMESTAMPTZ,
  optimization_started_at TIMESTAMPTZ,
  optimization_completed_at TIMESTAMPTZ,
  validation_started_at TIMESTAMPTZ,
  completed_at TIMESTAMPTZ,
  CONSTRAINT pk_optimization_sessions PRIMARY KEY (session_id),
  CONSTRAINT fk_optimization_sessions_fund_id FOREIGN KEY (fund_id) REFERENCES funds (id),
  CONSTRAINT fk_optimization_sessions_created_by FOREIGN KEY (created_by) REFERENCES users (id),
  CONSTRAINT uq_optimization_sessions_fund_id_client_key UNIQUE (fund_id, client_key)
)
""")
    for name, rule in CHECKS.items():
        op.execute(f"ALTER TABLE optimization_sessions ADD CONSTRAINT chk_{name} CHECK ({rule})")
    for column, comment in COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN optimization_sessions.{column} IS '{comment}'")
    op.execute("CREATE INDEX idx_optimization_sessions_fund ON optimization_sessions (fund_id, created_at DESC)")
    op.execute("CREATE INDEX idx_optimization_sessions_status ON optimization_sessions (status, created_at)")
    op.execute("CREATE INDEX idx_optimization_sessions_matrix_key ON optimization_sessions (matrix_key)")
    op.execute("""
CREATE INDEX idx_optimization_sessions_lease ON optimization_sessions (lease_expires_at)
WHERE status NOT IN ('COMPLETED', 'FAILED')
""")


CHECKS = {
    "driver": "driver IN ('bridge', 'inline')",
    "client_key": "char_length(client_key) BETWEEN 1 AND 200",
    "request_hash": "request_hash <> ''",
    "matrix_key": r"matrix_key ~ '^matrix_v1\.2_[0-9a-f]{64}$'",
    "status": "status IN ('REQUESTED', 'MATRIX_GENERATING', 'OPTIMIZING', 'VALIDATING', 'COMPLETED', 'FAILED')",
    "epoch": "epoch >= 0",
    "unclassified_failures": "unclassified_failures >= 0",
    "lease": "num_nonnulls(lease_token, lease_expires_at) <> 1",
    "lease_owner": "lease_owner IS NULL OR lease_token IS NOT NULL",
    "lease_status": "lease_token IS NULL OR status NOT IN ('COMPLETED', 'FAILED')",
    "completed_at_status": "(status IN ('COMPLETED', 'FAILED')) = (completed_at IS NOT NULL)",
    "error_status": "num_nonnulls(error_code, error_reason) = CASE WHEN status = 'FAILED' THEN 2 ELSE 0 END",
    "matrix_origin": "matrix_origin IN ('generated', 'hit')",
    "matrix_generation": "matrix_generation > 0",
    "matrix_status": """
num_nonnulls(matrix_generation, matrix_origin) = CASE
  WHEN status IN ('REQUESTED', 'MATRIX_GENERATING') THEN 0
  WHEN status = 'FAILED' AND matrix_generation IS NULL THEN 0
  ELSE 2
END""",
    "allocation_status": """
CASE
  WHEN status IN ('VALIDATING', 'COMPLETED')
    THEN num_nulls(allocation, solver_metadata, pass1_e_star, primary_lock_epsilon) = 0
  WHEN status = 'FAILED' THEN true
  ELSE num_nonnulls(allocation, solver_metadata, pass1_e_star, primary_lock_epsilon) = 0
END""",
    "validation_status": """
CASE
  WHEN status = 'COMPLETED' THEN validation_metrics IS NOT NULL
  WHEN status = 'FAILED' THEN true
  ELSE validation_metrics IS NULL
END""",
    "stage_timestamps": """
CASE status
  WHEN 'REQUESTED' THEN
    num_nonnulls(matrix_started_at, matrix_completed_at, optimization_started_at,
                 optimization_completed_at, validation_started_at) = 0
  WHEN 'MATRIX_GENERATING' THEN
    matrix_started_at IS NOT NULL
    AND num_nonnulls(matrix_completed_at, optimization_started_at,
                     optimization_completed_at, validation_started_at) = 0
  WHEN 'OPTIMIZING' THEN
    num_nulls(matrix_started_at, matrix_completed_at, optimization_started_at) = 0
    AND num_nonnulls(optimization_completed_at, validation_started_at) = 0
  WHEN 'FAILED' THEN true
  ELSE
    num_nulls(matrix_started_at, matrix_completed_at, optimization_started_at,
              optimization_completed_at, validation_started_at) = 0
END""",
    "pass1_e_star": "pass1_e_star > '-Infinity' AND pass1_e_star < 'Infinity'",
    "primary_lock_epsilon": "primary_lock_epsilon >= 0 AND primary_lock_epsilon < 'Infinity'",
    "allocation": "jsonb_typeof(allocation) = 'array'",
    "request": "jsonb_typeof(request) = 'object'",
    "normalized_config": "jsonb_typeof(normalized_config) = 'object'",
    "matrix_key_json": "jsonb_typeof(matrix_key_json) = 'object'",
    "progress": "jsonb_typeof(progress) = 'object'",
    "solver_metadata": "jsonb_typeof(solver_metadata) = 'object'",
    "validation_metrics": "jsonb_typeof(validation_metrics) = 'object'",
}

COMMENTS = {
    "client_key": "the caller''s idempotency key",
    "request_hash": "of the validated request before defaults are resolved",
    "request": "as asked",
    "normalized_config": "every default resolved, frozen",
    "lease_owner": "for people: host and process of the run",
    "pass1_e_star": "expected MOIC of the first pass",
    "primary_lock_epsilon": "absolute, in MOIC",
}


def downgrade() -> None:
    op.execute("DROP TABLE optimization_sessions")
