"""How long a fund's sessions took, for an estimate of how long the next one will."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from db.sql import Statements

_SQL = Statements("timings")

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
        _SQL["usual_times"],
        {"fund": fund_id, "most": LOOKED_AT},
    ).one()
    return UsualTimes(*row) if row.sessions else None
