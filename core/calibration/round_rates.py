"""From cumulative incidence to what a simulation needs: chances per financing round."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.calibration.aalen_johansen import NORMAL_QUANTILE_95, Incidence

MIN_FOLLOWED = 10
"""Incidence is read off no later than this many companies are still followed (a quarter of them, where that is fewer);
beyond, a single company moves it by more than it tells."""

ALL_LEFT = 1e-9
"""Rounding leaves about this much of a survival that is 0."""


@dataclass(frozen=True, slots=True)
class RoundRates:
    """rates, standard_errors, low, high: (n_causes,), chances per round, with 95% intervals.

    horizon_months: up to where the incidence was used. company_rounds: rounds that companies were followed for until
    then, all together: what the rates rest on.
    """

    rates: FloatArray
    standard_errors: FloatArray
    low: FloatArray
    high: FloatArray
    horizon_months: float
    company_rounds: float


def round_rates(incidence: Incidence, round_months: float, horizon_months: float) -> RoundRates | None:
    """The constant chances per round that lead, at the horizon, to just the incidence of every cause.

    A chain that stays with chance s a round has S = s^n after n = horizon / round length rounds, and has met cause j
    with chance r_j (1 - s^n) / (1 - s). Hence s = S^(1/n) and r_j = F_j (1 - s) / (1 - S). With a horizon of one round
    the rates are the incidence itself.

    Where nobody stays, S = 0 does not tell the pace: s is then that of the constant hazard most likely to have led to
    so many events in so much time, exp(-events / rounds observed). None where no time was observed at all.
    """
    enough = min(MIN_FOLLOWED, math.ceil(incidence.followed.size / 4))
    horizon = min(horizon_months, float(incidence.followed[-enough]))
    company_rounds = incidence.exposure(horizon) / round_months
    if horizon <= 0 or company_rounds <= 0:
        return None
    reached = incidence.at(horizon)
    if math.fsum(reached) < 1.0 - ALL_LEFT:
        rates, slopes = _per_round(reached, horizon / round_months)
        covariance = slopes @ incidence.covariance(horizon) @ slopes.T
    else:
        hazard = incidence.count(horizon) / company_rounds
        rates = reached * -math.expm1(-hazard)
        covariance = math.expm1(-hazard) ** 2 * incidence.covariance(horizon)
        # Of a hazard's estimate from d events the relative variance is 1 / d.
        pace = reached * math.exp(-hazard) * hazard
        covariance += np.outer(pace, pace) / incidence.count(horizon)
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    low, high = _logit_interval(rates, errors)
    high = np.where(rates > 0, high, _most_that_may_go_unseen(company_rounds))
    return RoundRates(rates, errors, low, high, horizon, company_rounds)


def _per_round(reached: FloatArray, rounds: float) -> tuple[FloatArray, FloatArray]:
    """Rates (n_causes,) and their derivatives by the incidences (n_causes, n_causes); reached: F_j at the horizon."""
    left_share = math.fsum(reached)
    if left_share <= 0.0:
        # The limit of what is below: all of it in proportion to the share of a round in the horizon.
        return np.zeros_like(reached), np.eye(reached.size) / rounds
    surviving = 1.0 - left_share
    stay = surviving ** (1.0 / rounds)
    factor = (1.0 - stay) / left_share
    slope = (stay / (rounds * surviving) * left_share - (1.0 - stay)) / left_share**2
    return reached * factor, factor * np.eye(reached.size) + slope * reached[:, None]


def _logit_interval(rates: FloatArray, errors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """On the logit scale, which keeps the ends inside [0, 1]; a rate of 0 or 1 has no width there."""
    inside = (rates > 0) & (rates < 1)
    p = np.where(inside, rates, 0.5)
    logit, swing = np.log(p / (1 - p)), NORMAL_QUANTILE_95 * errors / (p * (1 - p))
    low, high = (1 / (1 + np.exp(-(logit + sign * swing))) for sign in (-1, 1))
    return np.where(inside, low, rates), np.where(inside, high, rates)


def _most_that_may_go_unseen(trials: float) -> float:
    """The largest rate that meets nobody in so many rounds with a chance of 2.5%.

    Source: Clopper & Pearson (1934), for no success.
    """
    return 1.0 - math.exp(math.log(0.025) / trials)
