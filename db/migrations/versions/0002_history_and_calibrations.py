"""Portfolio companies, their investments, and immutable calibration snapshots."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_history()
    _create_calibrations()


def _create_history() -> None:
    op.execute("""
CREATE TABLE portfolio_companies (
  id UUID NOT NULL DEFAULT gen_random_uuid(),
  fund_id UUID NOT NULL,
  external_id TEXT NOT NULL,
  name TEXT NOT NULL,
  sector TEXT,
  category TEXT,
  status TEXT NOT NULL,
  status_date DATE,
  founded_on DATE,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT pk_portfolio_companies PRIMARY KEY (id),
  CONSTRAINT fk_portfolio_companies_fund_id FOREIGN KEY (fund_id) REFERENCES funds (id),
  CONSTRAINT uq_portfolio_companies_fund_id_external_id UNIQUE (fund_id, external_id),
  CONSTRAINT chk_external_id CHECK (external_id <> ''),
  CONSTRAINT chk_sector CHECK (sector <> ''),
  CONSTRAINT chk_status CHECK (status IN ('operating', 'exited', 'failed')),
  CONSTRAINT chk_status_date CHECK (status <> 'operating' OR status_date IS NULL)
)
""")
    op.execute("COMMENT ON COLUMN portfolio_companies.external_id IS 'the company''s id in the source'")
    op.execute("COMMENT ON COLUMN portfolio_companies.category IS 'as given by the source'")
    op.execute("""
COMMENT ON COLUMN portfolio_companies.status_date IS
'the day of the exit or failure; NULL where the source does not say'
""")
    op.execute("""
CREATE TABLE investments (
  id UUID NOT NULL DEFAULT gen_random_uuid(),
  company_id UUID NOT NULL,
  round_label TEXT NOT NULL,
  stage TEXT NOT NULL,
  stage_inferred BOOLEAN NOT NULL DEFAULT false,
  investment_date DATE NOT NULL,
  amount_usd DOUBLE PRECISION,
  disposal_date DATE,
  disposal_proceeds_usd DOUBLE PRECISION,
  CONSTRAINT pk_investments PRIMARY KEY (id),
  CONSTRAINT fk_investments_company_id FOREIGN KEY (company_id)
    REFERENCES portfolio_companies (id) ON DELETE CASCADE,
  CONSTRAINT chk_stage CHECK (stage IN ('Seed', 'A', 'B', 'C')),
  CONSTRAINT chk_amount CHECK (amount_usd >= 0 AND amount_usd < 'Infinity'),
  CONSTRAINT chk_proceeds CHECK (disposal_proceeds_usd >= 0 AND disposal_proceeds_usd < 'Infinity'),
  CONSTRAINT chk_disposal_date CHECK (disposal_date >= investment_date),
  CONSTRAINT chk_proceeds_dated CHECK (disposal_proceeds_usd IS NULL OR disposal_date IS NOT NULL)
)
""")
    op.execute("COMMENT ON COLUMN investments.round_label IS 'as given by the source'")
    op.execute("CREATE INDEX idx_investments_company ON investments (company_id, investment_date)")


def _create_calibrations() -> None:
    op.execute("""
CREATE TABLE calibration_snapshots (
  id UUID NOT NULL DEFAULT gen_random_uuid(),
  version TEXT NOT NULL,
  fund_id UUID,
  transition_stats JSONB NOT NULL,
  exit_outcomes JSONB NOT NULL,
  snapshot JSONB NOT NULL,
  sample_size INTEGER NOT NULL,
  data_window TEXT NOT NULL,
  method TEXT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT pk_calibration_snapshots PRIMARY KEY (id),
  CONSTRAINT fk_calibration_snapshots_fund_id FOREIGN KEY (fund_id) REFERENCES funds (id),
  CONSTRAINT uq_calibration_snapshots_version UNIQUE (version),
  CONSTRAINT chk_version CHECK (char_length(version) BETWEEN 1 AND 100),
  CONSTRAINT chk_method CHECK (method IN ('simple_cohort', 'survival', 'industry_benchmark')),
  CONSTRAINT chk_sample_size CHECK (sample_size >= 0),
  CONSTRAINT chk_snapshot_parts CHECK (
    (snapshot ->> 'version' = version
      AND snapshot -> 'transition_stats' = transition_stats
      AND snapshot -> 'exit_outcomes' = exit_outcomes) IS TRUE
  )
)
""")
    op.execute("COMMENT ON COLUMN calibration_snapshots.fund_id IS 'NULL: an industry benchmark, for every fund'")
    op.execute("""
COMMENT ON COLUMN calibration_snapshots.snapshot IS
'the whole document; the two columns before repeat its parts'
""")
    op.execute("CREATE INDEX idx_calibration_snapshots_fund ON calibration_snapshots (fund_id, created_at DESC)")
    op.execute("""
CREATE FUNCTION refuse_snapshot_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'calibration snapshot % is immutable; store a new version', OLD.version
    USING ERRCODE = 'restrict_violation';
END $$
""")
    op.execute("""
CREATE TRIGGER calibration_snapshots_immutable BEFORE UPDATE ON calibration_snapshots
FOR EACH ROW EXECUTE FUNCTION refuse_snapshot_update()
""")


def downgrade() -> None:
    op.execute("DROP TABLE calibration_snapshots")
    op.execute("DROP FUNCTION refuse_snapshot_update")
    op.execute("DROP TABLE investments")
    op.execute("DROP TABLE portfolio_companies")
