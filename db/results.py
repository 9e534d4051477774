"""A session as its users see it: one JSON-ready document, the same for the command line and the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.session_states import SessionStatus
from db.sessions import SessionRow


def session_result(session: SessionRow) -> dict[str, Any]:
    """All that is known of the session; what its state has not reached yet is null or empty.

    Fractions are in [0, 1], amounts in USD, `timings` in seconds by stage.
    """
    solver = session.solver_metadata or {}
    figures = solver.get("figures", {})
    return {
        "sessionId": str(session.session_id),
        "fundId": str(session.fund_id),
        "status": session.status.value,
        "errorCode": session.error_code,
        "errorReason": session.error_reason,
        "matrixKey": session.matrix_key,
        "matrixCache": session.matrix_origin,
        "expectedMoic": figures.get("expectedMoic"),
        "lossProbability": figures.get("lossProbability"),
        "cvar": figures.get("cvar"),
        "expectedWinners": figures.get("expectedWinners"),
        "allocation": session.allocation or [],
        "constraints": solver.get("constraints", []),
        "relaxations": solver.get("relaxations", []),
        "conflict": solver.get("conflict"),
        "solver": solver.get("solver"),
        "validation": session.validation_metrics,
        "pass1EStar": session.pass1_e_star,
        "primaryLockEpsilon": session.primary_lock_epsilon,
        "calibrationVersion": session.normalized_config["calibration_version"],
        "modelVersion": session.normalized_config["sim_model_version"],
        "timings": session_timings(session),
    }


def session_timings(session: SessionRow) -> dict[str, float | None]:
    """Seconds spent in each stage, by the database's clock; null for a stage that has not ended."""
    ended = session.completed_at if session.status is SessionStatus.COMPLETED else None
    return {
        "waiting": _seconds(session.created_at, session.matrix_started_at),
        "matrix": _seconds(session.matrix_started_at, session.matrix_completed_at),
        "optimize": _seconds(session.optimization_started_at, session.optimization_completed_at),
        "validate": _seconds(session.validation_started_at, ended),
        "total": _seconds(session.created_at, session.completed_at),
    }


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds()
