"""The recovery history of sessions: rescues, refusals, cancels. Appended to, never changed."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Index, Integer, Table, Text, Uuid

from db.tables.base import check, created_at, metadata, one_of


class EventKind(StrEnum):
    RESCUED = "rescued"
    """Its lease had run out: a new epoch."""
    RESTARTED = "restarted"
    """Its flow run was gone or never took it: a new epoch."""
    REVIVED = "revived"
    """It had no outbox row that leads on: a new epoch."""
    GIVEN_UP = "given_up"
    """Lost once too often: failed."""
    RESUMED = "resumed"
    """Taken over by hand: a new epoch."""
    STALE_WRITE_REFUSED = "stale_write_refused"
    """A run that had lost the session tried to go on."""
    CANCELLED = "cancelled"


session_events = Table(
    "session_events",
    metadata,
    Column("event_id", BigInteger, Identity(), primary_key=True),
    Column(
        "session_id",
        Uuid,
        ForeignKey("optimization_sessions.session_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("epoch", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False),
    created_at(),
    check("kind", one_of("kind", EventKind)),
    check("epoch", "epoch >= 0"),
    Index("idx_session_events_session", "session_id", "event_id"),
    Index("idx_session_events_kind", "kind"),
)
