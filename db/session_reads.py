"""Sessions as the API and the page read them: what a user may see, in one query, and no more columns than are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from core.session_states import SessionStatus
from db.sql import Statements
from db.tables.owners import FundRole

_SQL = Statements("session_reads")


@dataclass(frozen=True, slots=True)
class SessionStatusView:
    """role: the reader's, in the session's fund. queue_position: 1 for the next to begin; None once a run has begun."""

    session_id: UUID
    fund_id: UUID
    fund_name: str
    role: FundRole
    created_by: UUID
    created_by_name: str
    status: SessionStatus
    epoch: int
    error_code: str | None
    error_reason: str | None
    progress: Mapping[str, Any] | None
    matrix_key: str
    matrix_origin: str | None
    created_at: datetime
    matrix_started_at: datetime | None
    matrix_completed_at: datetime | None
    optimization_started_at: datetime | None
    optimization_completed_at: datetime | None
    validation_started_at: datetime | None
    completed_at: datetime | None
    queue_position: int | None


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """One line of a list. The figures are None before there is an allocation; relaxed: whether a limit
    was relaxed; verdict: whether what is bought keeps the limits, None before it is known and for schema version 1."""

    session_id: UUID
    fund_id: UUID
    fund_name: str
    status: SessionStatus
    created_at: datetime
    completed_at: datetime | None
    created_by_name: str
    error_code: str | None
    expected_moic: float | None
    loss_probability: float | None
    cvar: float | None
    expected_winners: float | None
    relaxed: bool
    verdict: str | None


def session_status(conn: Connection, session_id: UUID, user_id: UUID) -> SessionStatusView | None:
    """None for an unknown session, and for one of a fund of which the user is no member."""
    row = conn.execute(_SQL["session_status"], {"session": session_id, "user": user_id}).mappings().one_or_none()
    if row is None:
        return None
    return SessionStatusView(**{**row, "role": FundRole(row["role"]), "status": SessionStatus(row["status"])})


def list_sessions(
    conn: Connection,
    user_id: UUID,
    *,
    fund_id: UUID | None = None,
    status: SessionStatus | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int,
) -> list[SessionSummary]:
    """The newest first, of the funds of which the user is a member.

    before: creation time and id of the last one of the page before.
    """
    at, last_id = before or (None, None)
    rows = conn.execute(
        _SQL["list_sessions"],
        {
            "user": user_id,
            "fund": fund_id,
            "status": None if status is None else status.value,
            "at": at,
            "id": last_id,
            "limit": limit,
        },
    ).mappings()
    return [SessionSummary(**{**row, "status": SessionStatus(row["status"])}) for row in rows]


def newest_request(conn: Connection, fund_id: UUID) -> dict[str, Any] | None:
    """What the fund asked last, as it was asked. None where it never has."""
    found: dict[str, Any] | None = conn.scalar(
        _SQL["newest_request"],
        {"fund": fund_id},
    )
    return found
