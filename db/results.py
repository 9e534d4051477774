"""The result of a completed session, read from what the session stored, whichever version stored it."""

from __future__ import annotations

from datetime import datetime

from core.arrays import FloatArray
from core.request.normalized_config import NormalizedConfig
from core.result.assemble import result_of
from core.result.build import holdings_from, weights_from
from core.result.model import Holding, Optimization, Result, StoredValidation, Timings
from core.session_states import SessionStatus
from db.session_rows import SessionRow


def session_result(session: SessionRow) -> Result:
    """Of a completed session; amounts in USD, fractions in [0, 1], timings in seconds by stage."""
    assert session.status is SessionStatus.COMPLETED
    assert session.pass1_e_star is not None
    assert session.primary_lock_epsilon is not None
    return result_of(
        session_id=session.session_id,
        config=session.normalized_config,
        matrix_key=session.matrix_key,
        matrix_cache=session.matrix_origin,
        allocation=stored_allocation(session),
        optimization=stored_optimization(session),
        validation=StoredValidation.model_validate(session.validation_metrics),
        pass1_e_star=session.pass1_e_star,
        primary_lock_epsilon=session.primary_lock_epsilon,
        timings=session_timings(session),
    )


def stored_allocation(session: SessionRow) -> tuple[Holding, ...]:
    """Of a session that has been optimized."""
    assert session.allocation is not None
    return holdings_from(session.allocation)


def stored_weights(session: SessionRow) -> FloatArray:
    """(n_buckets,), of a session that has been optimized. Raises InvalidAllocation where they are not its buckets'."""
    return weights_from(stored_allocation(session), NormalizedConfig.model_validate(session.normalized_config))


def stored_optimization(session: SessionRow) -> Optimization:
    """Of a session that has been optimized."""
    assert session.solver_metadata is not None
    return Optimization.model_validate(session.solver_metadata)


def session_timings(session: SessionRow) -> Timings:
    """Seconds spent in each stage, by the database's clock; null for a stage that has not ended."""
    ended = session.completed_at if session.status is SessionStatus.COMPLETED else None
    return Timings(
        waiting=_seconds(session.created_at, session.matrix_started_at),
        matrix=_seconds(session.matrix_started_at, session.matrix_completed_at),
        optimize=_seconds(session.optimization_started_at, session.optimization_completed_at),
        validate_=_seconds(session.validation_started_at, ended),
        total=_seconds(session.created_at, session.completed_at),
    )


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds()
