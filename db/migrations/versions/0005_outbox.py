"""The outbox, one row a session."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE TABLE job_outbox (
  job_id UUID NOT NULL DEFAULT gen_random_uuid(),
  idempotency_key TEXT NOT NULL,
  job_type TEXT NOT NULL DEFAULT 'optimization_session',
  session_id UUID NOT NULL,
  epoch INTEGER NOT NULL DEFAULT 0,
  payload JSONB NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending',
  error_reason TEXT,
  last_error TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  max_attempts INTEGER NOT NULL DEFAULT 3,
  next_run_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  claim_id UUID,
  processing_at TIMESTAMPTZ,
  enqueued_at TIMESTAMPTZ,
  flow_run_id UUID,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT pk_job_outbox PRIMARY KEY (job_id),
  CONSTRAINT fk_job_outbox_session_id FOREIGN KEY (session_id)
    REFERENCES optimization_sessions (session_id) ON DELETE CASCADE,
  CONSTRAINT uq_job_outbox_idempotency_key UNIQUE (idempotency_key),
  CONSTRAINT uq_job_outbox_session_id UNIQUE (session_id),
  CONSTRAINT chk_job_type CHECK (job_type = 'optimization_session'),
  CONSTRAINT chk_idempotency_key CHECK (idempotency_key = 'optimization_session:' || session_id),
  CONSTRAINT chk_payload CHECK (jsonb_typeof(payload) = 'object'),
  CONSTRAINT chk_status CHECK (status IN ('pending', 'processing', 'enqueued', 'failed')),
  CONSTRAINT chk_epoch CHECK (epoch >= 0),
  CONSTRAINT chk_attempts CHECK (attempts >= 0 AND attempts <= max_attempts),
  CONSTRAINT chk_attempts_left CHECK (status <> 'pending' OR attempts < max_attempts),
  CONSTRAINT chk_claim_status CHECK (
    num_nonnulls(claim_id, processing_at) = CASE WHEN status = 'processing' THEN 2 ELSE 0 END
  ),
  CONSTRAINT chk_enqueued_at_status CHECK ((status = 'enqueued') = (enqueued_at IS NOT NULL)),
  CONSTRAINT chk_error_reason_status CHECK ((status = 'failed') = (error_reason IS NOT NULL))
)
""")
    op.execute("COMMENT ON COLUMN job_outbox.last_error IS 'of the latest attempt that failed'")
    op.execute("CREATE INDEX idx_job_outbox_claim ON job_outbox (next_run_at, created_at) WHERE status = 'pending'")
    op.execute("""
CREATE INDEX idx_job_outbox_stuck ON job_outbox (status, processing_at) WHERE status = 'processing'
""")


def downgrade() -> None:
    op.execute("DROP TABLE job_outbox")
