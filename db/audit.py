"""Who did what, and when. Appended to in the transaction of what it records, and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert

from db.sql import Statements
from db.tables.access import Action, audit_entries

_SQL = Statements("audit")

COMMAND_LINE = "command line"
PREFECT = "Prefect"


@dataclass(frozen=True, slots=True)
class Actor:
    """user_id: None for a user of Prefect. credential: how they authenticated, e.g. "token nightly" or "page"."""

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
        _SQL["list_entries"],
        {"reader": reader, "before": before, "limit": limit},
    ).mappings()
    return [AuditEntry(**{**row, "action": Action(row["action"])}) for row in rows]
