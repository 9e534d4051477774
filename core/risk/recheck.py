"""Every limit again, from the weights and the matrix alone, whatever was reported before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.arrays import FloatArray
from core.matrix.scenario_set import Scenarios
from core.portfolio.limits import Limits
from core.portfolio.strict import StrictFigures, evaluate
from core.request.normalized_config import NormalizedConfig, WeightBounds
from core.solver.program import LINEAR_TOLERANCE


@dataclass(frozen=True, slots=True)
class Recheck:
    """By how much each limit is overstepped; 0 where it is met, a float limit within its tolerance.

    max_loss_violation: share of scenarios. cvar_violation: fraction of capital. winner_count_violation: companies.
    budget_violation: fraction of capital that is missing or too much. bound_violations: constraint id to weight, only
    bounds that are broken.
    """

    figures: StrictFigures
    max_loss_violation: float
    cvar_violation: float
    winner_count_violation: float
    budget_violation: float
    bound_violations: Mapping[str, float]

    @property
    def feasible(self) -> bool:
        return not self.bound_violations and not any(
            (self.max_loss_violation, self.cvar_violation, self.winner_count_violation, self.budget_violation)
        )


def recheck(
    weights: FloatArray,
    matrix: Scenarios,
    config: NormalizedConfig,
    limits: Limits,
    cash_weight: float = 0.0,
) -> Recheck:
    """weights: (n_buckets,). Cash counts in the figures at multiple 1, but not as invested: the budget wants it all."""
    figures = evaluate(weights, matrix, config, cash_weight)
    return Recheck(
        figures=figures,
        max_loss_violation=max(0, figures.loss_count - limits.max_losses) / matrix.n_scenarios,
        cvar_violation=excess(figures.cvar, limits.cvar_limit),
        winner_count_violation=shortage(figures.expected_winners, limits.min_expected_winners),
        budget_violation=excess(abs(math.fsum(weights) - 1.0), 0.0),
        bound_violations=bound_violations(weights, config, limits),
    )


def bound_violations(weights: FloatArray, config: NormalizedConfig, limits: Limits) -> dict[str, float]:
    """Broken bounds of weights and of their sums, by constraint id such as `sector_max_weight:SaaS`."""
    return {name: amount for name, amount in _bound_checks(weights, config, limits) if amount > 0.0}


def _bound_checks(weights: FloatArray, config: NormalizedConfig, limits: Limits) -> Iterator[tuple[str, float]]:
    cap = 1.0 if limits.bucket_max_weight is None else limits.bucket_max_weight
    for weight, bucket in zip(weights.tolist(), config.buckets, strict=True):
        yield f"bucket_min_weight:{bucket.bucket_id}", shortage(weight, 0.0)
        yield f"bucket_max_weight:{bucket.bucket_id}", excess(weight, cap)
    stages = [bucket.stage for bucket in config.buckets]
    sectors = [bucket.sector for bucket in config.buckets]
    yield from _group_checks("stage", stages, weights, limits.stage_bounds.items())
    yield from _group_checks("sector", sectors, weights, limits.sector_bounds.items())


def _group_checks(
    kind: str, labels: Sequence[str], weights: FloatArray, bounds: Iterable[tuple[str, WeightBounds]]
) -> Iterator[tuple[str, float]]:
    for name, bound in bounds:
        total = math.fsum(weight for weight, label in zip(weights, labels, strict=True) if label == name)
        yield f"{kind}_min_weight:{name}", shortage(total, bound.min)
        yield f"{kind}_max_weight:{name}", excess(total, bound.max)


def excess(actual: float, limit: float) -> float:
    """By how much `actual` exceeds `limit`; 0 within the tolerance, which grows with limits above 1."""
    over = actual - limit
    return over if over > LINEAR_TOLERANCE * max(1.0, abs(limit)) else 0.0


def shortage(actual: float, limit: float) -> float:
    """By how much `actual` falls short of `limit`; 0 within the tolerance."""
    return excess(-actual, -limit)
