"""How long each company was followed, and what its unused rounds still tell, so that rows can be calibrated from."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
ALTER TABLE portfolio_companies
  ADD COLUMN last_round_on DATE,
  ADD COLUMN unplaced_on DATE,
  ADD COLUMN known_until DATE,
  ADD CONSTRAINT chk_unplaced_on CHECK (unplaced_on <= last_round_on),
  ADD CONSTRAINT chk_known_until CHECK (last_round_on <= known_until)
""")
    op.execute("""
COMMENT ON COLUMN portfolio_companies.last_round_on IS
'the last round of any type, those that are not kept included; NULL: that of investments'
""")
    op.execute("""
COMMENT ON COLUMN portfolio_companies.unplaced_on IS
'the first round after the last one in investments whose stage could not be told'
""")
    op.execute("""
COMMENT ON COLUMN portfolio_companies.known_until IS
'the day up to which the company was followed; NULL: to this day'
""")


def downgrade() -> None:
    op.execute("""
ALTER TABLE portfolio_companies DROP COLUMN last_round_on, DROP COLUMN unplaced_on, DROP COLUMN known_until
""")
