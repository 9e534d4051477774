"""The recovery history of sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, func, insert, select

from db.tables.events import EventKind, session_events


@dataclass(frozen=True, slots=True)
class SessionEvent:
    epoch: int
    kind: EventKind
    detail: str
    created_at: datetime


def record_event(conn: Connection, session_id: UUID, epoch: int, kind: EventKind, detail: str) -> None:
    """In the caller's transaction, with what it records. epoch: the one that it happened to."""
    conn.execute(insert(session_events).values(session_id=session_id, epoch=epoch, kind=kind, detail=detail))


def events_of(conn: Connection, session_id: UUID) -> list[SessionEvent]:
    """Oldest first."""
    columns = session_events.c
    statement = (
        select(columns.epoch, columns.kind, columns.detail, columns.created_at)
        .where(columns.session_id == session_id)
        .order_by(columns.event_id)
    )
    return [SessionEvent(row.epoch, EventKind(row.kind), row.detail, row.created_at) for row in conn.execute(statement)]


def count_events(conn: Connection) -> dict[EventKind, int]:
    """How often each kind has happened, over all sessions."""
    counted = select(session_events.c.kind, func.count()).group_by(session_events.c.kind)
    return dict.fromkeys(EventKind, 0) | {EventKind(kind): count for kind, count in conn.execute(counted)}
