"""Users, funds and membership; the local user and the example fund."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE TABLE users (
  id UUID NOT NULL DEFAULT gen_random_uuid(),
  name TEXT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT pk_users PRIMARY KEY (id),
  CONSTRAINT uq_users_name UNIQUE (name),
  CONSTRAINT chk_name CHECK (name = btrim(name) AND char_length(name) BETWEEN 1 AND 200)
)
""")
    op.execute("""
CREATE TABLE funds (
  id UUID NOT NULL DEFAULT gen_random_uuid(),
  name TEXT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT pk_funds PRIMARY KEY (id),
  CONSTRAINT uq_funds_name UNIQUE (name),
  CONSTRAINT chk_name CHECK (name = btrim(name) AND char_length(name) BETWEEN 1 AND 200),
  CONSTRAINT chk_name_is_no_id CHECK (name !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')
)
""")
    op.execute("""
CREATE TABLE fund_members (
  fund_id UUID NOT NULL,
  user_id UUID NOT NULL,
  role TEXT NOT NULL DEFAULT 'member',
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT pk_fund_members PRIMARY KEY (fund_id, user_id),
  CONSTRAINT fk_fund_members_fund_id FOREIGN KEY (fund_id) REFERENCES funds (id) ON DELETE CASCADE,
  CONSTRAINT fk_fund_members_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  CONSTRAINT chk_role CHECK (role IN ('owner', 'member', 'viewer'))
)
""")
    op.execute("CREATE INDEX idx_fund_members_user ON fund_members (user_id)")

    op.execute("INSERT INTO users (id, name) VALUES ('00000000-0000-4000-8000-000000000002', 'local')")
    op.execute("INSERT INTO funds (id, name) VALUES ('00000000-0000-4000-8000-000000000001', 'Example Fund')")
    op.execute("""
INSERT INTO fund_members (fund_id, user_id, role)
VALUES ('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002', 'owner')
""")


def downgrade() -> None:
    op.execute("DROP TABLE fund_members")
    op.execute("DROP TABLE funds")
    op.execute("DROP TABLE users")
