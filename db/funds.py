"""Funds, and who belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from core.errors import BadInput, Conflict, NotFound
from db.tables.owners import FundRole

EXAMPLE_FUND_ID = UUID("00000000-0000-4000-8000-000000000001")
"""Installed by the first migration, as is the local user, its owner."""

LOCAL_USER = "local"


@dataclass(frozen=True, slots=True)
class Fund:
    id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    user_id: UUID
    user_name: str
    role: FundRole


def add_fund(conn: Connection, name: str, owner_id: UUID) -> Fund:
    """A new fund with its owner. Raises BadInput for a name that cannot be one, Conflict for one that is taken."""
    name = _checked_name("fund name", name)
    if _as_uuid(name) is not None:
        raise BadInput.of("fund name", name, "must not look like an id")
    row = conn.execute(
        text("INSERT INTO funds (name) VALUES (:name) ON CONFLICT (name) DO NOTHING RETURNING id, name, created_at"),
        {"name": name},
    ).one_or_none()
    if row is None:
        raise Conflict.of("fund name", name, "is taken")
    conn.execute(
        text("INSERT INTO fund_members (fund_id, user_id, role) VALUES (:fund, :owner, 'owner')"),
        {"fund": row.id, "owner": owner_id},
    )
    return Fund(*row)


def list_funds(conn: Connection) -> list[Fund]:
    """All funds, by name."""
    return [Fund(*row) for row in conn.execute(text("SELECT id, name, created_at FROM funds ORDER BY name"))]


def find_fund(conn: Connection, reference: str | UUID) -> Fund:
    """The fund of that name or id. Raises NotFound."""
    row = conn.execute(
        text("SELECT id, name, created_at FROM funds WHERE id = :id OR name = :name"),
        {"id": _as_uuid(reference), "name": str(reference)},
    ).one_or_none()
    if row is None:
        raise NotFound.of("fund", str(reference), "no fund has this name or id")
    return Fund(*row)


def add_member(conn: Connection, fund_id: UUID, user_name: str, role: FundRole) -> bool:
    """Make that user, known or new, a member in that role. False when they were already."""
    user_name = _checked_name("user name", user_name)
    conn.execute(text("INSERT INTO users (name) VALUES (:name) ON CONFLICT (name) DO NOTHING"), {"name": user_name})
    changed = conn.execute(
        text("""
            INSERT INTO fund_members AS m (fund_id, user_id, role)
            SELECT :fund, id, :role FROM users WHERE name = :name
            ON CONFLICT (fund_id, user_id) DO UPDATE SET role = excluded.role WHERE m.role <> excluded.role
        """),
        {"fund": fund_id, "name": user_name, "role": role.value},
    )
    return changed.rowcount == 1


def list_members(conn: Connection, fund_id: UUID) -> list[Member]:
    """The fund's members, by name."""
    rows = conn.execute(
        text("""
            SELECT u.id, u.name, m.role FROM fund_members m JOIN users u ON u.id = m.user_id
            WHERE m.fund_id = :fund ORDER BY u.name
        """),
        {"fund": fund_id},
    )
    return [Member(user_id, name, FundRole(role)) for user_id, name, role in rows]


def role_in(conn: Connection, fund_id: UUID, user_id: UUID) -> FundRole | None:
    """None where the user is no member, or there is no such fund."""
    role = conn.scalar(
        text("SELECT role FROM fund_members WHERE fund_id = :fund AND user_id = :user"),
        {"fund": fund_id, "user": user_id},
    )
    return None if role is None else FundRole(role)


def funds_of(conn: Connection, user_id: UUID) -> list[tuple[Fund, FundRole]]:
    """The funds of which the user is a member, by name, and as what."""
    rows = conn.execute(
        text("""
            SELECT f.id, f.name, f.created_at, m.role FROM fund_members m JOIN funds f ON f.id = m.fund_id
            WHERE m.user_id = :user ORDER BY f.name
        """),
        {"user": user_id},
    )
    return [(Fund(*row[:3]), FundRole(row[3])) for row in rows]


def local_user_id(conn: Connection) -> UUID:
    """The user on whose behalf the command line acts. Raises NotFound when someone removed it."""
    found: UUID | None = conn.scalar(text("SELECT id FROM users WHERE name = :name"), {"name": LOCAL_USER})
    if found is None:
        raise NotFound.of("user", LOCAL_USER, "no user has this name")
    return found


def _checked_name(field: str, name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise BadInput.of(field, name, "must have 1 to 200 printable characters")
    return name


def _as_uuid(reference: str | UUID) -> UUID | None:
    try:
        return UUID(str(reference))
    except ValueError:
        return None
