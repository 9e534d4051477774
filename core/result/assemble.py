"""A whole result from its parts, whether they were just made or stored by any version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from core.request.normalized_config import NormalizedConfig
from core.result.model import (
    SCHEMA_VERSION,
    Figures,
    Holding,
    MatrixFacts,
    MatrixResult,
    Optimization,
    Result,
    Solver,
    StoredValidation,
    Timings,
    Validation,
    Verdict,
)
from core.result.verdict import even_sectors_note, optimization_notes, verdict_of, verdict_on_matrix


def stored_validation(
    optimization: Optimization, allocation: Sequence[Holding], validation: Validation
) -> StoredValidation:
    """What a session stores: the validation, and the verdict as it is worded now."""
    return StoredValidation(
        **dict(validation),
        schema_version=SCHEMA_VERSION,
        verdict=judged(optimization, allocation, validation),
    )


def judged(optimization: Optimization, allocation: Sequence[Holding], validation: Validation) -> Verdict:
    """The verdict on an optimized portfolio."""
    notes = (
        *optimization_notes(optimization),
        *even_sectors_note(optimization.solver.even_sectors, allocation),
    )
    return verdict_of(optimization.constraints, optimization.limits.cvar_confidence, allocation, validation, notes)


def result_of(
    *,
    session_id: UUID | None,
    config: NormalizedConfig | Mapping[str, Any],
    matrix_key: str,
    matrix_cache: Literal["generated", "hit"] | None,
    allocation: Sequence[Holding],
    optimization: Optimization,
    validation: StoredValidation,
    pass1_e_star: float,
    primary_lock_epsilon: float,
    timings: Timings,
) -> Result:
    """config: the normalized configuration; of stored sessions its document, since older ones may lack fields.

    A verdict that is stored stays as it was worded then; a result of version 1 is judged now.
    """
    stored = config.model_dump() if isinstance(config, NormalizedConfig) else config
    plain = Validation(**{name: getattr(validation, name) for name in Validation.model_fields})
    verdict = validation.verdict or judged(optimization, allocation, plain)
    return Result(
        schema_version=validation.schema_version,
        verdict=verdict,
        session_id=session_id,
        fund_id=UUID(str(stored["fund_id"])),
        matrix_key=matrix_key,
        matrix_cache=matrix_cache,
        **_of_optimization(optimization, allocation),
        solver=_with_known_gap(optimization.solver, verdict),
        validation=plain,
        pass1_e_star=pass1_e_star,
        primary_lock_epsilon=primary_lock_epsilon,
        calibration_version=stored["calibration_version"],
        model_version=stored["sim_model_version"],
        timings=timings,
    )


def _with_known_gap(solver: Solver, verdict: Verdict) -> Solver:
    """A portfolio whose limits are not shown to hold is no lower end of what one that keeps them can expect."""
    gap = solver.true_gap
    if gap is None or (verdict.weights is not None and verdict.weights.status == "holds"):
        return solver
    return solver.model_copy(update={"true_gap": gap.model_copy(update={"lower": None})})


def _of_optimization(optimization: Optimization, allocation: Sequence[Holding]) -> dict[str, Any]:
    """What every result says of the portfolio on the matrix, and of its limits."""
    return {
        "expected_moic": optimization.figures.expected_moic,
        "loss_probability": optimization.figures.loss_probability,
        "cvar": optimization.figures.cvar,
        "expected_winners": optimization.figures.expected_winners,
        "allocation": tuple(allocation),
        "constraints": optimization.constraints,
        "relaxations": optimization.relaxations,
        "conflict": optimization.conflict,
    }


def matrix_result_of(
    *,
    config: NormalizedConfig,
    allocation: Sequence[Holding],
    optimization: Optimization,
    whole_deals: Figures,
    pass1_e_star: float,
    matrix: MatrixFacts,
) -> MatrixResult:
    """On a matrix of the user's own. whole_deals: figures of the whole deals on it."""
    return MatrixResult(
        verdict=verdict_on_matrix(
            constraints=optimization.constraints,
            cvar_confidence=optimization.limits.cvar_confidence,
            allocation=allocation,
            weights=optimization.figures,
            whole_deals=whole_deals,
            notes=optimization_notes(optimization),
        ),
        **_of_optimization(optimization, allocation),
        solver=optimization.solver,
        pass1_e_star=pass1_e_star,
        primary_lock_epsilon=config.primary_lock_epsilon,
        calibration_version=config.calibration_version,
        model_version=config.sim_model_version,
        matrix=matrix,
    )
