"""Is the answer really better than a plainer one? Compared scenario by scenario, where neither was chosen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.portfolio.strict import exact_mean, shortfalls
from core.risk.measures import cvar
from core.risk.out_of_sample_trial import OutOfSampleTrial
from core.risk.sampling_error import mean_error, required_sample_size, tail_contributions
from core.solver.program import LOSS_THRESHOLD

SAME_WEIGHTS = 1e-9
SAME_MEAN = 1e-9
"""Multiples: expectations by the distribution have no noise, but rounding."""
EQUAL_WEIGHTS, GREEDY, SAME_STAGES = "equal_weights", "greedy", "same_stages_even_sectors"
OTHER_SEEDS = ("other_seed_1", "other_seed_2")

DOMINANCE_ERRORS = 2.0
"""Standard errors by which another portfolio's risk must be lower, so that it is not taken for chance."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """weights: (n_buckets,); with the cash they add up to 1. feasible: whether it keeps every limit where the answer
    was chosen."""

    name: str
    weights: FloatArray
    cash_weight: float
    feasible: bool


@dataclass(frozen=True, slots=True)
class RiskDifference:
    """The answer's loss probability and CVaR less those of the other, with their standard errors, scenario by scenario.

    dominated: whether the other has no smaller expectation and both risks lower by `DOMINANCE_ERRORS`.
    """

    loss_probability: float
    loss_error: float
    cvar: float
    cvar_error: float
    dominated: bool


@dataclass(frozen=True, slots=True)
class ComparisonPortfolio:
    """Another portfolio in the same scenarios out of sample.

    difference: by how much the answer's expected multiple exceeds that of the other; standard_error: of that
    difference, scenario by scenario, so that what both share cancels. within_noise: it is at most one standard error.
    required_sample_size: as many would show it, were it what it seems; None where there is none at all.
    feasible: whether it keeps every limit on the scenarios that the answer was chosen on. turnover: what share of the
    capital is elsewhere. risk: None where only means were compared.
    """

    name: str
    expected_moic: float
    difference: float
    standard_error: float
    within_noise: bool
    required_sample_size: int | None
    feasible: bool
    turnover: float | None = None
    risk: RiskDifference | None = None

    @classmethod
    def measured(
        cls,
        name: str,
        *,
        expected_moic: float,
        difference: float,
        standard_error: float,
        scenarios: int,
        feasible: bool,
        negligible: float = 0.0,
        turnover: float | None = None,
        risk: RiskDifference | None = None,
    ) -> ComparisonPortfolio:
        """In so many scenarios. negligible: a difference that the answer may give up for an even spread."""
        return cls(
            name,
            expected_moic,
            difference,
            standard_error,
            within_noise=abs(difference) <= max(standard_error, negligible),
            required_sample_size=None
            if standard_error == 0.0
            else required_sample_size(difference, standard_error, scenarios),
            feasible=feasible,
            turnover=turnover,
            risk=risk,
        )


def equal_weights(n_buckets: int) -> FloatArray:
    return np.full(n_buckets, 1.0 / n_buckets)


def same_stages(weights: FloatArray, stages: Sequence[str]) -> FloatArray:
    """The capital of each stage, even over its buckets. weights: (n_buckets,); stages: of each bucket."""
    of_stage = np.array(stages)
    even = np.empty_like(weights)
    for stage in dict.fromkeys(stages):
        members = of_stage == stage
        even[members] = math.fsum(weights[members]) / np.count_nonzero(members)
    return even


def comparison_portfolios(
    weights: FloatArray,
    trial: OutOfSampleTrial,
    candidates: Iterable[Candidate],
    *,
    cvar_confidence: float,
    expected: FloatArray | None = None,
    epsilon: float = 0.0,
) -> list[ComparisonPortfolio]:
    """One that is the answer itself is left out, unless it was found under another seed. weights: (n_buckets,).

    expected: (n_buckets,), multiples by the distribution, for the differences of means; None: of the scenarios.
    epsilon: what the answer gave up for an even spread, multiples.
    """
    answer = trial.of_weights(weights).multiples
    return [
        _compare(candidate, answer, trial, weights, confidence=cvar_confidence, expected=expected, epsilon=epsilon)
        for candidate in candidates
        if candidate.name in OTHER_SEEDS or np.max(np.abs(candidate.weights - weights)) > SAME_WEIGHTS
    ]


def _compare(
    candidate: Candidate,
    answer: FloatArray,
    trial: OutOfSampleTrial,
    weights: FloatArray,
    *,
    confidence: float,
    expected: FloatArray | None,
    epsilon: float,
) -> ComparisonPortfolio:
    other = trial.of_weights(candidate.weights, candidate.cash_weight).multiples
    advantage = answer - other
    difference, error = exact_mean(advantage), mean_error(advantage)
    mean = exact_mean(other)
    assert error is not None
    if expected is not None:
        mean = math.fsum([*(candidate.weights * expected).tolist(), candidate.cash_weight])
        difference = math.fsum([*(weights * expected).tolist(), -mean])
        error = 0.0
    away = math.fsum(np.abs(candidate.weights - weights).tolist()) + candidate.cash_weight
    return ComparisonPortfolio.measured(
        candidate.name,
        expected_moic=mean,
        difference=difference,
        standard_error=error,
        scenarios=advantage.size,
        feasible=candidate.feasible,
        negligible=0.0 if expected is None else epsilon + SAME_MEAN,
        turnover=away / 2.0,
        risk=_risk_difference(answer, other, confidence, difference, error),
    )


def _risk_difference(
    answer: FloatArray, other: FloatArray, confidence: float, difference: float, error: float
) -> RiskDifference:
    losses = (answer < LOSS_THRESHOLD).astype(np.float64) - (other < LOSS_THRESHOLD)
    tails = tail_contributions(shortfalls(answer), confidence) - tail_contributions(shortfalls(other), confidence)
    loss, loss_error = exact_mean(losses), mean_error(losses)
    cvar_error = mean_error(tails)
    assert loss_error is not None
    assert cvar_error is not None
    cvar_difference = cvar(shortfalls(answer), confidence) - cvar(shortfalls(other), confidence)
    dominated = (
        difference <= SAME_MEAN - DOMINANCE_ERRORS * error
        and loss > DOMINANCE_ERRORS * loss_error
        and cvar_difference > DOMINANCE_ERRORS * cvar_error
    )
    return RiskDifference(loss, loss_error, cvar_difference, cvar_error, dominated)
