"""Investment history: a fund's portfolio companies and the rounds they raised."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, Double, ForeignKey, Index, Table, Text, UniqueConstraint, Uuid, text

from core.stages import Stage
from db.tables.base import check, created_at, metadata, new_uuid, one_of

COMPANY_STATUSES = ("operating", "exited", "failed")

portfolio_companies = Table(
    "portfolio_companies",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=new_uuid()),
    Column("fund_id", Uuid, ForeignKey("funds.id"), nullable=False),
    Column("external_id", Text, nullable=False, comment="the company's id in the source"),
    Column("name", Text, nullable=False),
    Column("sector", Text),
    Column("category", Text, comment="as given by the source"),
    Column("status", Text, nullable=False),
    Column("status_date", Date, comment="the day of the exit or failure; NULL where the source does not say"),
    Column("founded_on", Date),
    created_at(),
    Column(
        "last_round_on",
        Date,
        comment="the last round of any type, those that are not kept included; NULL: that of investments",
    ),
    Column(
        "unplaced_on", Date, comment="the first round after the last one in investments whose stage could not be told"
    ),
    Column("known_until", Date, comment="the day up to which the company was followed; NULL: to this day"),
    UniqueConstraint("fund_id", "external_id"),
    check("external_id", "external_id <> ''"),
    check("sector", "sector <> ''"),
    check("status", one_of("status", COMPANY_STATUSES)),
    check("status_date", "status <> 'operating' OR status_date IS NULL"),
    check("unplaced_on", "unplaced_on <= last_round_on"),
    check("known_until", "last_round_on <= known_until"),
)

investments = Table(
    "investments",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=new_uuid()),
    Column("company_id", Uuid, ForeignKey("portfolio_companies.id", ondelete="CASCADE"), nullable=False),
    Column("round_label", Text, nullable=False, comment="as given by the source"),
    Column("stage", Text, nullable=False),
    Column("stage_inferred", Boolean, nullable=False, server_default=text("false")),
    Column("investment_date", Date, nullable=False),
    Column("amount_usd", Double),
    Column("disposal_date", Date),
    Column("disposal_proceeds_usd", Double),
    check("stage", one_of("stage", Stage)),
    # NaN counts as greater than Infinity in PostgreSQL, so the upper bound refuses both.
    check("amount", "amount_usd >= 0 AND amount_usd < 'Infinity'"),
    check("proceeds", "disposal_proceeds_usd >= 0 AND disposal_proceeds_usd < 'Infinity'"),
    check("disposal_date", "disposal_date >= investment_date"),
    check("proceeds_dated", "disposal_proceeds_usd IS NULL OR disposal_date IS NOT NULL"),
    Index("idx_investments_company", "company_id", "investment_date"),
)
