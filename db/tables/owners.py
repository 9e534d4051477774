"""Who owns what: users, funds, and who belongs to which fund."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Column, ForeignKey, Index, Table, Text, UniqueConstraint, Uuid, text

from db.tables.base import check, created_at, metadata, new_uuid, one_of


class FundRole(StrEnum):
    """owner: also manages members. member: starts and cancels sessions. viewer: reads."""

    OWNER = "owner"
    MEMBER = "member"
    VIEWER = "viewer"

    @property
    def may_change(self) -> bool:
        return self is not FundRole.VIEWER


NAME_RULE = "name = btrim(name) AND char_length(name) BETWEEN 1 AND 200"

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=new_uuid()),
    Column("name", Text, nullable=False),
    created_at(),
    UniqueConstraint("name"),
    check("name", NAME_RULE),
)

funds = Table(
    "funds",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=new_uuid()),
    Column("name", Text, nullable=False),
    created_at(),
    UniqueConstraint("name"),
    check("name", NAME_RULE),
    # A fund is referred to by name or by id; a name that reads as an id would be ambiguous.
    check("name_is_no_id", "name !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'"),
)

fund_members = Table(
    "fund_members",
    metadata,
    Column("fund_id", Uuid, ForeignKey("funds.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role", Text, nullable=False, server_default=text("'member'")),
    created_at(),
    check("role", one_of("role", FundRole)),
    Index("idx_fund_members_user", "user_id"),
)
