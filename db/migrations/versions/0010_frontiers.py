"""Frontiers as stored jobs with an outbox row of their own, and the points that they have solved."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE TABLE frontier_jobs (
  frontier_id UUID NOT NULL DEFAULT gen_random_uuid(),
  session_id UUID NOT NULL,
  created_by UUID NOT NULL,
  vary JSONB NOT NULL,
  vary_hash TEXT NOT NULL,
  request JSONB NOT NULL,
  matrix_key TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'REQUESTED',
  error_code TEXT,
  error_reason TEXT,
  epoch INTEGER NOT NULL DEFAULT 0,
  lease_token UUID,
  lease_expires_at TIMESTAMPTZ,
  lease_owner TEXT,
  rescues INTEGER NOT NULL DEFAULT 0,
  flow_run_id UUID,
  solved INTEGER NOT NULL DEFAULT 0,
  document JSONB,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  started_at TIMESTAMPTZ,
  completed_at TIMESTAMPTZ,
  CONSTRAINT pk_frontier_jobs PRIMARY KEY (frontier_id),
  CONSTRAINT fk_frontier_jobs_session_id FOREIGN KEY (session_id)
    REFERENCES optimization_sessions (session_id) ON DELETE CASCADE,
  CONSTRAINT fk_frontier_jobs_created_by FOREIGN KEY (created_by) REFERENCES users (id),
  CONSTRAINT uq_frontier_jobs_session_id_vary_hash UNIQUE (session_id, vary_hash),
  CONSTRAINT chk_vary CHECK (jsonb_typeof(vary) = 'object'),
  CONSTRAINT chk_vary_hash CHECK (vary_hash ~ '^[0-9a-f]{64}$'),
  CONSTRAINT chk_request CHECK (jsonb_typeof(request) = 'object'),
  CONSTRAINT chk_matrix_key CHECK (matrix_key ~ '^matrix_v1\\.2_[0-9a-f]{64}$'),
  CONSTRAINT chk_status CHECK (status IN ('REQUESTED', 'SOLVING', 'COMPLETED', 'FAILED')),
  CONSTRAINT chk_epoch CHECK (epoch >= 0),
  CONSTRAINT chk_rescues CHECK (rescues >= 0),
  CONSTRAINT chk_solved CHECK (solved >= 0),
  CONSTRAINT chk_lease CHECK (num_nonnulls(lease_token, lease_expires_at) <> 1),
  CONSTRAINT chk_lease_owner CHECK (lease_owner IS NULL OR lease_token IS NOT NULL),
  CONSTRAINT chk_lease_status CHECK (lease_token IS NULL OR status = 'SOLVING'),
  CONSTRAINT chk_started_at_status CHECK (status <> 'SOLVING' OR started_at IS NOT NULL),
  CONSTRAINT chk_completed_at_status CHECK ((status IN ('COMPLETED', 'FAILED')) = (completed_at IS NOT NULL)),
  CONSTRAINT chk_error_status CHECK (
    num_nonnulls(error_code, error_reason) = CASE WHEN status = 'FAILED' THEN 2 ELSE 0 END
  ),
  CONSTRAINT chk_document CHECK (jsonb_typeof(document) = 'object'),
  CONSTRAINT chk_document_status CHECK ((status = 'COMPLETED') = (document IS NOT NULL))
)
""")
    for column, comment in {
        "session_id": "the completed session whose request and scenarios it varies",
        "vary": "field and values, from the tightest to the loosest",
        "request": "the session''s, with its calibration named",
        "lease_owner": "for people: host and process of the run",
        "rescues": "how often its lease ran out",
        "solved": "points that this run has",
        "document": "the frontier, as `vcfolio frontier --json` prints it",
    }.items():
        op.execute(f"COMMENT ON COLUMN frontier_jobs.{column} IS '{comment}'")
    op.execute("""
CREATE INDEX idx_frontier_jobs_active ON frontier_jobs (lease_expires_at)
  WHERE status NOT IN ('COMPLETED', 'FAILED')
""")
    op.execute("""
CREATE INDEX idx_frontier_jobs_active_matrix ON frontier_jobs (matrix_key)
  WHERE status NOT IN ('COMPLETED', 'FAILED')
""")
    op.execute("""
CREATE TABLE frontier_points (
  point_key TEXT NOT NULL,
  matrix_key TEXT NOT NULL,
  value DOUBLE PRECISION NOT NULL,
  point JSONB NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  last_used_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT pk_frontier_points PRIMARY KEY (point_key),
  CONSTRAINT chk_point_key CHECK (point_key ~ '^[0-9a-f]{64}$'),
  CONSTRAINT chk_matrix_key CHECK (matrix_key ~ '^matrix_v1\\.2_[0-9a-f]{64}$'),
  CONSTRAINT chk_value CHECK (value > '-Infinity' AND value < 'Infinity'),
  CONSTRAINT chk_point CHECK (jsonb_typeof(point) = 'object')
)
""")
    for column, comment in {
        "point_key": "sha256 of configuration, matrix key and starting weights",
        "value": "of the varied limit",
        "point": "core.frontier.point.FrontierPoint",
    }.items():
        op.execute(f"COMMENT ON COLUMN frontier_points.{column} IS '{comment}'")
    op.execute("CREATE INDEX idx_frontier_points_last_used ON frontier_points (last_used_at)")
    # Rows that there are stay as they are: each is of a session, which the new rules allow.
    op.execute("""
ALTER TABLE job_outbox
  ALTER session_id DROP NOT NULL,
  ADD COLUMN frontier_id UUID,
  ADD CONSTRAINT fk_job_outbox_frontier_id FOREIGN KEY (frontier_id)
    REFERENCES frontier_jobs (frontier_id) ON DELETE CASCADE,
  ADD CONSTRAINT uq_job_outbox_frontier_id UNIQUE (frontier_id),
  DROP CONSTRAINT chk_job_type,
  ADD CONSTRAINT chk_job_type CHECK (job_type IN ('optimization_session', 'frontier')),
  ADD CONSTRAINT chk_job_subject CHECK (
    CASE job_type WHEN 'optimization_session' THEN session_id IS NOT NULL AND frontier_id IS NULL
    ELSE session_id IS NULL AND frontier_id IS NOT NULL END
  ),
  DROP CONSTRAINT chk_idempotency_key,
  ADD CONSTRAINT chk_idempotency_key CHECK (idempotency_key = job_type || ':' || coalesce(session_id, frontier_id))
""")


def downgrade() -> None:
    op.execute("DELETE FROM job_outbox WHERE job_type = 'frontier'")
    op.execute("""
ALTER TABLE job_outbox
  DROP CONSTRAINT chk_idempotency_key,
  ADD CONSTRAINT chk_idempotency_key CHECK (idempotency_key = 'optimization_session:' || session_id),
  DROP CONSTRAINT chk_job_subject,
  DROP CONSTRAINT chk_job_type,
  ADD CONSTRAINT chk_job_type CHECK (job_type = 'optimization_session'),
  DROP COLUMN frontier_id,
  ALTER session_id SET NOT NULL
""")
    op.execute("DROP TABLE frontier_points")
    op.execute("DROP TABLE frontier_jobs")
