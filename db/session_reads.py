"""Sessions as the API and the page read them: what a user may see, in one query, and no more columns than are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from core.session_states import SessionStatus
from db.tables.owners import FundRole


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


_STATUS = text("""
    SELECT s.session_id, s.fund_id, f.name AS fund_name, m.role, s.created_by, u.name AS created_by_name,
           s.status, s.epoch, s.error_code,
           s.error_reason, s.progress, s.matrix_key, s.matrix_origin, s.created_at, s.matrix_started_at,
           s.matrix_completed_at, s.optimization_started_at, s.optimization_completed_at, s.validation_started_at,
           s.completed_at,
           CASE WHEN s.status = 'REQUESTED' THEN (
             SELECT count(*) FROM optimization_sessions w
             WHERE w.status = 'REQUESTED' AND w.created_at <= s.created_at
               AND (w.created_at, w.session_id) <= (s.created_at, s.session_id)
           ) END AS queue_position
    FROM optimization_sessions s
    JOIN fund_members m ON m.fund_id = s.fund_id AND m.user_id = :user
    JOIN funds f ON f.id = s.fund_id
    JOIN users u ON u.id = s.created_by
    WHERE s.session_id = :session
""")

# Each fund's newest come from its index, however many sessions there are; then the newest of these.
_LIST = text("""
    SELECT s.session_id, s.fund_id, f.name AS fund_name, s.status, s.created_at, s.completed_at,
           u.name AS created_by_name, s.error_code,
           CAST(s.solver_metadata -> 'figures' ->> 'expectedMoic' AS double precision) AS expected_moic,
           CAST(s.solver_metadata -> 'figures' ->> 'lossProbability' AS double precision) AS loss_probability,
           CAST(s.solver_metadata -> 'figures' ->> 'cvar' AS double precision) AS cvar,
           CAST(s.solver_metadata -> 'figures' ->> 'expectedWinners' AS double precision) AS expected_winners,
           coalesce(jsonb_array_length(s.solver_metadata -> 'relaxations') > 0, false) AS relaxed,
           s.validation_metrics -> 'verdict' ->> 'status' AS verdict
    FROM (
      SELECT newest.session_id, newest.created_at
      FROM fund_members m,
      LATERAL (
        SELECT o.session_id, o.created_at FROM optimization_sessions o
        WHERE o.fund_id = m.fund_id
          AND (CAST(:status AS text) IS NULL OR o.status = :status)
          AND o.created_at <= coalesce(CAST(:at AS timestamptz), 'infinity')
          AND (CAST(:at AS timestamptz) IS NULL OR (o.created_at, o.session_id) < (:at, CAST(:id AS uuid)))
        ORDER BY o.created_at DESC, o.session_id DESC LIMIT :limit
      ) AS newest
      WHERE m.user_id = :user AND (CAST(:fund AS uuid) IS NULL OR m.fund_id = :fund)
      ORDER BY newest.created_at DESC, newest.session_id DESC LIMIT :limit
    ) AS listed
    JOIN optimization_sessions s USING (session_id)
    JOIN funds f ON f.id = s.fund_id
    JOIN users u ON u.id = s.created_by
    ORDER BY s.created_at DESC, s.session_id DESC
""")


def session_status(conn: Connection, session_id: UUID, user_id: UUID) -> SessionStatusView | None:
    """None for an unknown session, and for one of a fund of which the user is no member."""
    row = conn.execute(_STATUS, {"session": session_id, "user": user_id}).mappings().one_or_none()
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
        _LIST,
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
        text("""
            SELECT request FROM optimization_sessions WHERE fund_id = :fund
            ORDER BY created_at DESC, session_id DESC LIMIT 1
        """),
        {"fund": fund_id},
    )
    return found
