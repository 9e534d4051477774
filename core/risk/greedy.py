"""The greedy other: the reserve engine with buckets as its companies, to compare the optimum with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.matrix.scenario_set import Scenarios
from core.portfolio.dollars import to_cents
from core.portfolio.limits import Limits
from core.portfolio.strict import exact_mean
from core.request.normalized_config import NormalizedConfig
from core.reserve_engine import ConstrainedReserveEngine, ReserveCompany, ReserveConstraints
from core.risk.recheck import recheck


@dataclass(frozen=True, slots=True)
class GreedyPortfolio:
    """weights: (n_buckets,); with cash_weight, what it left uninvested, they add up to 1.

    objective: mean multiple on the matrix, cash at 1. feasible: whether it meets every limit, all capital invested.
    """

    weights: FloatArray
    cash_weight: float
    objective: float
    feasible: bool


def greedy_portfolio(matrix: Scenarios, config: NormalizedConfig) -> GreedyPortfolio:
    """The best bucket first, by mean multiple, each up to its own and its stage's maximum, none below one deal.

    The engine knows no sectors, minima or risk limits; whether it happens to meet them is what `feasible` says.
    """
    fund_usd = config.total_fund_size_usd
    cap = config.bucket_max_weight
    engine = ConstrainedReserveEngine(
        stage_policies={},
        constraints=ReserveConstraints(
            max_per_company_usd=None if cap is None else cap * fund_usd,
            max_per_stage_usd={stage: bounds.max * fund_usd for stage, bounds in config.stage_bounds.items()},
        ),
    )
    companies = [
        ReserveCompany(
            id=bucket.bucket_id,
            name=bucket.bucket_id,
            stage=bucket.stage,
            score=score,
            min_check_usd=bucket.all_in_cost_usd,
        )
        for bucket, score in zip(config.buckets, _scores(matrix), strict=True)
    ]
    result = engine.allocate(fund_usd, companies)
    allocated = {allocation.id: allocation.allocated_cents for allocation in result.allocations}
    fund_cents = to_cents(fund_usd)
    weights = np.array([allocated.get(bucket.bucket_id, 0) / fund_cents for bucket in config.buckets])
    cash_weight = result.remaining_cents / fund_cents
    check = recheck(weights, matrix, config, Limits.of(config, matrix.n_scenarios), cash_weight)
    return GreedyPortfolio(weights, cash_weight, check.figures.expected_moic, check.feasible)


def _scores(matrix: Scenarios) -> list[float]:
    """The expected multiple of each bucket, as the optimum's objective has it."""
    if matrix.expectations is not None:
        return [float(mean) for mean in matrix.expectations.mean]
    return [exact_mean(row.astype(np.float64)) for row in matrix.moic]
