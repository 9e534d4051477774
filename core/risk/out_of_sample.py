"""How a portfolio does out of sample, which it was not chosen for, and whether it keeps its limits there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from core.arrays import FloatArray
from core.matrix.scenario_set import Expectations
from core.portfolio.limits import Limits
from core.portfolio.strict import exact_mean, expected_winners, shortfalls
from core.request.normalized_config import NormalizedConfig
from core.risk import measures
from core.risk.intervals import (
    JOINT_QUANTILE,
    NORMAL_QUANTILE,
    Interval,
    bootstrap,
    normal,
    resampled_cvar,
    resampled_mean,
    wilson,
)
from core.risk.out_of_sample_trial import PortfolioDraws
from core.risk.recheck import excess, shortage
from core.risk.sampling_error import required_sample_size, standard_errors
from core.risk.stress import RegimeOutcome, by_regime
from core.simulation.inputs import SimulationInputs
from core.solver.feasibility import loss_count

Holds = Literal["yes", "no", "within_error"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure from so many scenarios, with its standard error and 95% interval."""

    value: float
    standard_error: float
    interval: Interval
    scenarios: int


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """An estimate against its limit. violation: by how much the estimate breaks it, 0 if it does not.

    holds: `yes` or `no` where the 95% interval lies on one side of the limit, else `within_error`; then
    required_sample_size says how many would tell, if the estimate stays where it is.
    """

    estimate: Estimate
    limit: float
    violation: float
    holds: Holds
    required_sample_size: int | None

    @property
    def value(self) -> float:
        return self.estimate.value

    @property
    def interval(self) -> Interval:
        return self.estimate.interval


@dataclass(frozen=True, slots=True)
class OutOfSample:
    """mean: expected multiple, with its 95% interval and standard error.

    optimism_gap: by how much the mean on the matrix that the portfolio was chosen on exceeds it. regimes: the figures
    within each macro regime.
    """

    scenarios: int
    mean: float
    mean_interval: Interval
    standard_error: float
    optimism_gap: float
    loss_probability: LimitCheck
    cvar: LimitCheck
    expected_winners: LimitCheck
    regimes: Sequence[RegimeOutcome]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a portfolio without drawing: expected winners, in companies, and the error of that."""

    expected_winners: float
    winners_error: float

    @classmethod
    def of(cls, weights: FloatArray, config: NormalizedConfig, expected: Expectations | None) -> Self | None:
        """None where expectations are those of a sample. weights: (n_buckets,)."""
        if expected is None:
            return None
        return cls(
            expected_winners(weights, config, expected.win_probability),
            expected_winners(weights, config, expected.win_error),
        )


def judge_out_of_sample(
    draws: PortfolioDraws,
    *,
    in_sample_mean: float,
    limits: Limits,
    max_loss_probability: float,
    inputs: SimulationInputs,
    known: Known | None = None,
) -> OutOfSample:
    """max_loss_probability: share of scenarios that may lose money. draws: of at least two scenarios.

    known: where expectations are those of the distribution. Then two limits are sampled, and their intervals hold
    together; else each by itself.
    """
    multiples, winners = draws.multiples, draws.winners
    n, confidence = multiples.size, limits.cvar_confidence
    losses = shortfalls(multiples)
    mean, lost = exact_mean(multiples), loss_count(multiples)
    cvar = measures.cvar(losses, confidence)
    errors = standard_errors(multiples, winners, confidence)
    assert errors.expected_moic is not None
    assert errors.loss_probability is not None
    assert errors.cvar is not None
    assert errors.expected_winners is not None
    of_winners = exact_mean(winners), errors.expected_winners
    if known is not None:
        quantile = JOINT_QUANTILE
        of_winners = known.expected_winners, known.winners_error
        intervals = {
            "mean": normal(mean, errors.expected_moic),
            "cvar": normal(cvar, errors.cvar, quantile),
            "winners": normal(*of_winners),
        }
    else:
        quantile = NORMAL_QUANTILE
        resampled = {
            "mean": resampled_mean(multiples),
            "cvar": resampled_cvar(losses, confidence),
            "winners": resampled_mean(winners),
        }
        intervals = bootstrap(resampled, n, inputs.matrix_key)
    return OutOfSample(
        scenarios=n,
        mean=mean,
        mean_interval=intervals["mean"],
        standard_error=errors.expected_moic,
        optimism_gap=in_sample_mean - mean,
        loss_probability=at_most(
            Estimate(lost / n, errors.loss_probability, wilson(lost, n, quantile), n), max_loss_probability
        ),
        cvar=at_most(Estimate(cvar, errors.cvar, intervals["cvar"], n), limits.cvar_limit),
        expected_winners=at_least(
            Estimate(of_winners[0], of_winners[1], intervals["winners"], n), limits.min_expected_winners
        ),
        regimes=by_regime(draws, inputs.regimes, confidence),
    )


def at_most(estimate: Estimate, limit: float) -> LimitCheck:
    """A limit from above."""
    holds: Holds = "within_error"
    if not excess(estimate.interval.high, limit):
        holds = "yes"
    elif excess(estimate.interval.low, limit):
        holds = "no"
    return _check(estimate, limit, excess(estimate.value, limit), holds)


def at_least(estimate: Estimate, limit: float) -> LimitCheck:
    """A limit from below."""
    holds: Holds = "within_error"
    if not shortage(estimate.interval.low, limit):
        holds = "yes"
    elif shortage(estimate.interval.high, limit):
        holds = "no"
    return _check(estimate, limit, shortage(estimate.value, limit), holds)


def _check(estimate: Estimate, limit: float, violation: float, holds: Holds) -> LimitCheck:
    needed = None
    if holds == "within_error":
        needed = required_sample_size(estimate.value - limit, estimate.standard_error, estimate.scenarios)
        # The interval has said that today's scenarios do not suffice, whatever the standard error makes of them.
        needed = None if needed is None else max(needed, estimate.scenarios + 1)
    return LimitCheck(estimate, limit, violation, holds, needed)
