"""Who did what, and when. Appended to in the transaction of what it records, and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert, text

from db.tables.access import Action, audit_entries

COMMAND_LINE = "command line"
PREFECT = "Prefect"


@dataclass(frozen=True, slots=True)
class Actor:
    """user_id: None for whoever works with Prefect. credential: how they came in, e.g. "token nightly" or "page"."""

    user_id: UUID | None
    credential: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    entry_id: int
    created_at: datetime
    user_name: str | None
    credential: str
    action: Action
    session_id: UUID | None
    fund_id: UUID | None
    matrix_key: str | None
    detail: str


def record(
    conn: Connection,
    actor: Actor,
    action: Action,
    *,
    session_id: UUID | None = None,
    fund_id: UUID | None = None,
    matrix_key: str | None = None,
    detail: str = "",
) -> None:
    entry = {
        "user_id": actor.user_id,
        "credential": actor.credential,
        "action": action.value,
        "session_id": session_id,
        "fund_id": fund_id,
        "matrix_key": matrix_key,
        "detail": detail,
    }
    conn.execute(insert(audit_entries), entry)


def list_entries(conn: Connection, *, reader: UUID | None = None, before: int | None, limit: int) -> list[AuditEntry]:
    """The newest first. before: only entries older than the one of this id.

    reader: only what this user did, and what concerns funds of which he is a member. None: everything.
    """
    rows = conn.execute(
        text("""
            SELECT a.entry_id, a.created_at, u.name AS user_name, a.credential, a.action, a.session_id, a.fund_id,
                   a.matrix_key, a.detail
            FROM audit_entries a LEFT JOIN users u ON u.id = a.user_id
            WHERE a.entry_id < coalesce(:before, 9223372036854775807)
              AND (
                CAST(:reader AS uuid) IS NULL OR a.user_id = :reader
                OR EXISTS (SELECT FROM fund_members m WHERE m.fund_id = a.fund_id AND m.user_id = :reader)
                OR EXISTS (
                  SELECT FROM optimization_sessions s JOIN fund_members m ON m.fund_id = s.fund_id
                  WHERE s.matrix_key = a.matrix_key AND m.user_id = :reader
                )
              )
            ORDER BY a.entry_id DESC LIMIT :limit
        """),
        {"reader": reader, "before": before, "limit": limit},
    ).mappings()
    return [AuditEntry(**{**row, "action": Action(row["action"])}) for row in rows]
