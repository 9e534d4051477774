"""Is every limit kept, by how much, which ones bind, which ones were moved: recomputed from the weights alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.optimization.limits import Limits
from core.optimization.problem import ConstraintType, PortfolioProblem
from core.optimization.relaxation import RelaxedBound
from core.optimization.strict import StrictFigures
from core.solver.program import LINEAR_TOLERANCE

BINDING_TOLERANCE = 1e-6
"""A bound binds when its slack is at most this, relative to the bound where that is above 1."""


@dataclass(frozen=True, slots=True)
class ConstraintStatus:
    """slack: room left, positive when kept, in the bound's own unit. relaxed_from: the bound as asked, if it moved."""

    constraint_id: str
    type: ConstraintType
    required: float
    actual: float
    slack: float
    satisfied: bool
    binding: bool
    relaxed_from: float | None


def constraint_report(
    problem: PortfolioProblem,
    limits: Limits,
    weights: FloatArray,
    figures: StrictFigures,
    relaxed: Sequence[RelaxedBound] = (),
) -> tuple[ConstraintStatus, ...]:
    """The risk limits and expected winners always, every other bound that was set; a fixed order.

    weights: (B,), normalised; figures: of these weights; limits: those that were enforced.
    """
    moved = {bound.constraint_id: bound.old for bound in relaxed}
    n = problem.n_scenarios
    losses_allowed, losses = limits.max_losses, figures.loss_count
    config = problem.config
    report = [
        ConstraintStatus(
            constraint_id="p_loss_max",
            type="p_loss_max",
            required=losses_allowed / n if "p_loss_max" in moved else config.max_loss_probability,
            actual=figures.loss_probability,
            slack=(losses_allowed - losses) / n,
            satisfied=losses <= losses_allowed,
            # One more losing scenario would be one too many.
            binding=losses == losses_allowed,
            relaxed_from=moved.get("p_loss_max"),
        ),
        _status("cvar_max", "cvar_max", limits.cvar_limit, figures.cvar, moved, minimum=False),
    ]
    seen: dict[str, ConstraintStatus] = {}
    for constraint in problem.linear_constraints(limits):
        actual = float(np.einsum("b,b->", constraint.coefficients, weights))
        if constraint.type == "expected_winners_min":
            actual = figures.expected_winners
        status = _status(
            constraint.constraint_id,
            constraint.type,
            constraint.bound,
            actual,
            moved,
            minimum=constraint.is_minimum,
        )
        known = seen.get(constraint.constraint_id)
        if known is None or status.slack < known.slack:
            seen[constraint.constraint_id] = status
    if "expected_winners_min" not in seen:
        report.append(
            _status(
                "expected_winners_min",
                "expected_winners_min",
                limits.min_expected_winners,
                figures.expected_winners,
                moved,
                minimum=True,
            )
        )
    return (*report, *seen.values())


def _status(
    constraint_id: str,
    constraint_type: ConstraintType,
    required: float,
    actual: float,
    moved: dict[str, float],
    *,
    minimum: bool,
) -> ConstraintStatus:
    slack = actual - required if minimum else required - actual
    scale = max(1.0, abs(required))
    return ConstraintStatus(
        constraint_id=constraint_id,
        type=constraint_type,
        required=required,
        actual=actual,
        slack=slack,
        satisfied=slack >= -LINEAR_TOLERANCE * scale,
        binding=abs(slack) <= BINDING_TOLERANCE * scale,
        relaxed_from=moved.get(constraint_id),
    )
