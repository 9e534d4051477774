"""Page sessions have a CSRF token of their own, which nobody can work out from the cookie."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE page_sessions ADD COLUMN csrf_token TEXT")
    # 244 random bits in 64 digits, from the system's own source.
    op.execute("""
UPDATE page_sessions SET csrf_token = replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')
""")
    op.execute("ALTER TABLE page_sessions ALTER csrf_token SET NOT NULL")
    op.execute("COMMENT ON COLUMN page_sessions.csrf_token IS 'what its forms carry'")


def downgrade() -> None:
    op.execute("ALTER TABLE page_sessions DROP COLUMN csrf_token")
