"""Outbox rows by their age, so that those that may go are found without a look at every session that ever ended."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX idx_job_outbox_created ON job_outbox (created_at)")


def downgrade() -> None:
    op.execute("DROP INDEX idx_job_outbox_created")
