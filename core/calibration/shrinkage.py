"""Small samples are shrunk towards the reference calibration, by a weight that is reported.

A prior of weight w counts like w observations: with n observations their estimate has the credibility n / (n + w).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.calibration.snapshot import ExitOutcome, StageTransitions
from core.stages import Stage

P90_SCORE = 1.2815515655446004
"""The standard normal's 90th percentile."""


def credibility(observations: float, prior_weight: float) -> float:
    """The weight of the estimate from the observations, in [0, 1]; 0 without observations and prior."""
    total = observations + prior_weight
    return observations / total if total > 0 else 0.0


def shrunk_rates(rates: FloatArray, company_rounds: float, prior: FloatArray, prior_weight: float) -> FloatArray:
    """Mean of the Dirichlet posterior. rates, prior: (n_causes,), chances per round; what is left to 1 is to stay.

    company_rounds: how many rounds the rates rest on; prior_weight: how many the prior counts for.
    Source: Gelman et al. (2013), "Bayesian Data Analysis", section 3.4.
    """
    own = credibility(company_rounds, prior_weight)
    shrunk: FloatArray = own * rates + (1 - own) * prior
    return shrunk


def prior_rates(reference: StageTransitions, stage: Stage) -> FloatArray:
    """The reference's chances to graduate, exit and fail, as a history can know them.

    From the last stage nobody is seen to graduate, and the model takes a graduation from it as an exit: so do we.
    """
    graduate, exit_rate = reference.graduate_rate, reference.exit_rate
    if stage.next is None:
        graduate, exit_rate = 0.0, exit_rate + graduate
    return np.array([graduate, exit_rate, reference.failure_rate])


def shrunk_outcome(log_multiples: FloatArray, prior: ExitOutcome, prior_weight: float) -> ExitOutcome:
    """Median and p90 of a lognormal whose mean and variance are those of the normal-inverse-chi-squared posterior.

    log_multiples: (n_exits,); none at all give the prior, to the bit. Source: Gelman et al. (2013), section 3.3, with
    the prior's mean and variance both worth `prior_weight` exits.
    """
    n = log_multiples.size
    if n == 0:
        return prior
    prior_mean = math.log(prior.median_moic)
    prior_sigma = math.log(prior.p90_moic / prior.median_moic) / P90_SCORE
    own_mean = math.fsum(log_multiples) / n
    own_squares = math.fsum((log_multiples - own_mean) ** 2)
    total = n + prior_weight
    mean = (n * own_mean + prior_weight * prior_mean) / total
    between = n * prior_weight / total * (own_mean - prior_mean) ** 2
    sigma = math.sqrt((own_squares + prior_weight * prior_sigma**2 + between) / total)
    return ExitOutcome(median_moic=math.exp(mean), p90_moic=math.exp(mean + P90_SCORE * sigma))


@dataclass(frozen=True, slots=True)
class Multiplier:
    """A sector's factor on its stage's figure, after shrinkage to 1. observed / expected is the factor before."""

    value: float
    observed: float
    expected: float
    credibility: float


def shrunk_ratio(observed: float, expected: float, prior_weight: float) -> Multiplier:
    """Observed events against those that the stage's rates would lead to, with `prior_weight` events as expected.

    The mean of a gamma posterior with prior mean 1. Source: Clayton & Kaldor (1987), "Empirical Bayes estimates of
    age-standardized relative risks".
    """
    total = expected + prior_weight
    if total <= 0:
        return Multiplier(1.0, observed, expected, 0.0)
    return Multiplier((observed + prior_weight) / total, observed, expected, credibility(expected, prior_weight))
