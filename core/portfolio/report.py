"""Is every limit kept, by how much, which ones bind, which ones were moved: recomputed from the weights alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.arrays import FloatArray
from core.portfolio.limits import Limits
from core.portfolio.problem import ConstraintType, PortfolioProblem
from core.portfolio.relax import RelaxedBound
from core.portfolio.shadow_prices import ShadowPrice
from core.portfolio.strict import StrictFigures
from core.solver.program import LINEAR_TOLERANCE
from core.solver.sums import dot

BINDING_TOLERANCE = 1e-6
"""A bound binds when its slack is at most this, relative to the bound where that is above 1."""


@dataclass(frozen=True, slots=True)
class ConstraintStatus:
    """slack: room left, positive when kept, in the bound's own unit. relaxed_from: the bound as asked, if it moved.

    binding: there is no room; of the loss probability, that one more losing scenario would be too many.
    tightened_to: what was enforced, so that the limit holds outside of the scenarios it was enforced on; None where it
    was not tightened. price: what the limit costs, if it binds or holds the primary solve's optimum back and that is
    known.
    """

    constraint_id: str
    type: ConstraintType
    required: float
    actual: float
    slack: float
    satisfied: bool
    binding: bool
    relaxed_from: float | None
    price: ShadowPrice | None = None
    tightened_to: float | None = None


def constraint_report(
    problem: PortfolioProblem,
    limits: Limits,
    weights: FloatArray,
    figures: StrictFigures,
    relaxed: Sequence[RelaxedBound] = (),
    *,
    prices: Mapping[str, ShadowPrice] | None = None,
    enforced: Limits | None = None,
) -> tuple[ConstraintStatus, ...]:
    """The risk limits and expected winners always, every other bound that was asked for; a fixed order.

    weights: of the problem's columns, normalized; figures: of these weights; limits: as asked or relaxed. enforced:
    what the program had to keep, where the sampled limits were tightened; None: the limits.
    """
    held = limits if enforced is None else enforced
    old = {bound.constraint_id: bound.old for bound in relaxed}
    new = {bound.constraint_id: bound.new for bound in relaxed}
    config = problem.config
    required_loss = new.get("p_loss_max", config.max_loss_probability)
    report = [
        ConstraintStatus(
            constraint_id="p_loss_max",
            type="p_loss_max",
            required=required_loss,
            actual=figures.loss_probability,
            slack=required_loss - figures.loss_probability,
            satisfied=figures.loss_count <= limits.max_losses,
            binding=figures.loss_count == held.max_losses,
            tightened_to=None if held.max_losses == limits.max_losses else held.max_losses / problem.n_scenarios,
            relaxed_from=old.get("p_loss_max"),
        ),
        _tightened(
            _status("cvar_max", "cvar_max", limits.cvar_limit, figures.cvar, old, minimum=False), held.cvar_limit
        ),
        _status(
            "expected_winners_min",
            "expected_winners_min",
            limits.min_expected_winners,
            figures.expected_winners,
            old,
            minimum=True,
        ),
    ]
    # A bound that was moved to where it cannot bind was asked for all the same.
    asked = problem.linear_constraints(Limits.of(config, problem.n_scenarios))
    tightest: dict[str, ConstraintStatus] = {}
    for constraint in asked:
        if constraint.type == "expected_winners_min":
            continue
        status = _status(
            constraint.constraint_id,
            constraint.type,
            new.get(constraint.constraint_id, constraint.bound),
            dot(constraint.coefficients, weights),
            old,
            minimum=constraint.is_minimum,
        )
        known = tightest.get(constraint.constraint_id)
        if known is None or status.slack < known.slack:
            tightest[constraint.constraint_id] = status
    priced = prices or {}
    return tuple(_with_price(status, priced.get(status.constraint_id)) for status in (*report, *tightest.values()))


def _tightened(status: ConstraintStatus, enforced: float) -> ConstraintStatus:
    """binding: there is no room below what was enforced."""
    if enforced == status.required:
        return status
    binding = abs(enforced - status.actual) <= BINDING_TOLERANCE * max(1.0, abs(enforced))
    return replace(status, binding=binding, tightened_to=enforced)


def _with_price(status: ConstraintStatus, price: ShadowPrice | None) -> ConstraintStatus:
    """A limit that neither binds nor costs anything goes without a price."""
    tells = price is not None and (status.binding or price.gain_per_unit > 0.0)
    return replace(status, price=price) if tells else status


def _status(
    constraint_id: str,
    constraint_type: ConstraintType,
    required: float,
    actual: float,
    old: dict[str, float],
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
        # A minimum of nothing holds for every portfolio.
        binding=abs(slack) <= BINDING_TOLERANCE * scale and not (minimum and required <= 0.0),
        relaxed_from=old.get(constraint_id),
    )
