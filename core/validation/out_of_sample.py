"""How a portfolio does in fresh scenarios, which it was not chosen for, and whether it keeps its limits there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from core.arrays import FloatArray
from core.optimization.limits import Limits
from core.optimization.strict import conditional_value_at_risk, exact_mean, shortfalls
from core.solver.strict_check import loss_count
from core.validation.intervals import Interval, bootstrap, resampled_cvar, resampled_mean, wilson
from core.validation.recheck import excess, shortage

Holds = Literal["yes", "no", "within_error"]


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """An estimate against its limit. violation: by how much the estimate breaks it, 0 if it does not.

    holds: `yes` or `no` where the 95% interval lies on one side of the limit, else `within_error`.
    """

    value: float
    interval: Interval
    limit: float
    violation: float
    holds: Holds

    def as_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "low": self.interval.low,
            "high": self.interval.high,
            "limit": self.limit,
            "violation": self.violation,
            "holdsOutOfSample": self.holds,
        }


@dataclass(frozen=True, slots=True)
class OutOfSample:
    """mean: expected multiple, with its 95% interval and standard error.

    optimism_gap: by how much the mean on the matrix that the portfolio was chosen on exceeds it.
    """

    scenarios: int
    mean: float
    mean_interval: Interval
    standard_error: float
    optimism_gap: float
    loss_probability: LimitCheck
    cvar: LimitCheck
    expected_winners: LimitCheck

    def as_json(self) -> dict[str, Any]:
        return {
            "scenarios": self.scenarios,
            "expectedMoic": {
                "value": self.mean,
                "low": self.mean_interval.low,
                "high": self.mean_interval.high,
                "standardError": self.standard_error,
            },
            "optimismGap": self.optimism_gap,
            "lossProbability": self.loss_probability.as_json(),
            "cvar": self.cvar.as_json(),
            "expectedWinners": self.expected_winners.as_json(),
        }


def judge_out_of_sample(
    *,
    multiples: FloatArray,
    winners: FloatArray,
    in_sample_mean: float,
    limits: Limits,
    max_loss_probability: float,
    matrix_key: str,
) -> OutOfSample:
    """multiples: (n_scenarios,), of the portfolio. winners: (n_scenarios,), the winners it expects in each.

    max_loss_probability: share of scenarios that may lose money.
    """
    n = multiples.size
    losses = shortfalls(multiples)
    intervals = bootstrap(
        {
            "mean": resampled_mean(multiples),
            "cvar": resampled_cvar(losses, limits.cvar_confidence),
            "winners": resampled_mean(winners),
        },
        n,
        matrix_key,
    )
    mean, lost = exact_mean(multiples), loss_count(multiples)
    cvar = conditional_value_at_risk(losses, limits.cvar_confidence)
    return OutOfSample(
        scenarios=n,
        mean=mean,
        mean_interval=intervals["mean"],
        standard_error=float(np.std(multiples, ddof=1)) / math.sqrt(n),
        optimism_gap=in_sample_mean - mean,
        loss_probability=at_most(lost / n, wilson(lost, n), max_loss_probability),
        cvar=at_most(cvar, intervals["cvar"], limits.cvar_limit),
        expected_winners=at_least(exact_mean(winners), intervals["winners"], limits.min_expected_winners),
    )


def at_most(value: float, interval: Interval, limit: float) -> LimitCheck:
    """A limit from above."""
    holds: Holds = "within_error"
    if not excess(interval.high, limit):
        holds = "yes"
    elif excess(interval.low, limit):
        holds = "no"
    return LimitCheck(value, interval, limit, excess(value, limit), holds)


def at_least(value: float, interval: Interval, limit: float) -> LimitCheck:
    """A limit from below."""
    holds: Holds = "within_error"
    if not shortage(interval.low, limit):
        holds = "yes"
    elif shortage(interval.high, limit):
        holds = "no"
    return LimitCheck(value, interval, limit, shortage(value, limit), holds)
