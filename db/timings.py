"""How long a fund's sessions took, for an estimate of how long the next one will."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class UsualTimes:
    """Medians in seconds over the newest completed sessions. matrix_s: None where none of them generated its own."""

    sessions: int
    matrix_s: float | None
    optimize_s: float
    validate_s: float


def usual_times(conn: Connection, fund_id: UUID) -> UsualTimes | None:
    """None for a fund that has completed none."""
    row = conn.execute(
        text("""
            WITH newest AS (
              SELECT * FROM optimization_sessions WHERE fund_id = :fund AND status = 'COMPLETED'
              ORDER BY created_at DESC, session_id DESC LIMIT :most
            )
            SELECT count(*) AS sessions,
              percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM matrix_completed_at - matrix_started_at))
                FILTER (WHERE matrix_origin = 'generated') AS matrix_s,
              percentile_cont(0.5) WITHIN GROUP (
                ORDER BY extract(epoch FROM optimization_completed_at - optimization_started_at)) AS optimize_s,
              percentile_cont(0.5) WITHIN GROUP (
                ORDER BY extract(epoch FROM completed_at - validation_started_at)) AS validate_s
            FROM newest
        """),
        {"fund": fund_id, "most": LOOKED_AT},
    ).one()
    return UsualTimes(*row) if row.sessions else None
