"""Shrinkage: the own weight is n / (n + w), between the own estimate and the prior, by Bayes' formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.calibration.shrinkage import credibility, prior_rates, shrunk_outcome, shrunk_rates, shrunk_ratio
from core.calibration.snapshot import ExitOutcome, StageTransitions
from core.stages import Stage

PRIOR = ExitOutcome(median_moic=2.0, p90_moic=8.0)


def test_rates_are_the_mean_of_the_dirichlet_posterior() -> None:
    counts, prior, weight = np.array([30.0, 10.0, 20.0]), np.array([0.2, 0.1, 0.3]), 40.0
    posterior = (counts + weight * prior) / (100.0 + weight)
    assert shrunk_rates(counts / 100.0, 100.0, prior, weight) == pytest.approx(posterior)


@given(st.floats(0, 1e6), st.floats(0.1, 1e4))
def test_the_own_share_grows_with_the_sample_from_nothing_to_all(n: float, weight: float) -> None:
    assert credibility(0.0, weight) == 0.0
    assert credibility(n, weight) <= credibility(n + 1, weight) <= 1.0
    assert credibility(n, 0.0) == (1.0 if n > 0 else 0.0)


def test_graduating_from_the_last_stage_is_an_exit() -> None:
    rates = StageTransitions(exit_rate=0.2, graduate_rate=0.15, failure_rate=0.12)
    assert prior_rates(rates, Stage.C).tolist() == [0.0, 0.35, 0.12]
    assert prior_rates(rates, Stage.B).tolist() == [0.15, 0.2, 0.12]


def test_no_exits_give_the_prior_to_the_bit_and_many_their_own_distribution() -> None:
    assert shrunk_outcome(np.array([]), PRIOR, 20.0) is PRIOR
    logs = np.random.default_rng(0).normal(math.log(5.0), 0.7, 50_000)
    found = shrunk_outcome(logs, PRIOR, 20.0)
    assert found.median_moic == pytest.approx(5.0, rel=0.02)
    assert found.p90_moic == pytest.approx(5.0 * math.exp(1.2815515655446004 * 0.7), rel=0.02)


def test_outcomes_lie_between_own_and_prior_by_the_weight() -> None:
    logs = np.full(20, math.log(8.0))
    assert shrunk_outcome(logs, PRIOR, 20.0).median_moic == pytest.approx(4.0)
    assert shrunk_outcome(logs, PRIOR, 60.0).median_moic == pytest.approx(2.0 * 4.0**0.25)


def test_the_spread_is_that_of_the_sample_completed_by_pseudo_observations_of_the_prior() -> None:
    logs, weight = np.array([0.3, 1.1, 2.4, 0.9]), 10.0
    mean0, sigma0 = math.log(2.0), math.log(4.0) / 1.2815515655446004
    pseudo = np.array([mean0 - sigma0, mean0 + sigma0] * 5)  # ten values of just that mean and variance
    together = np.concatenate([logs, pseudo])
    found = shrunk_outcome(logs, PRIOR, weight)
    assert math.log(found.median_moic) == pytest.approx(together.mean())
    sigma = math.log(found.p90_moic / found.median_moic) / 1.2815515655446004
    assert sigma == pytest.approx(together.std())


def test_a_ratio_is_shrunk_towards_one() -> None:
    found = shrunk_ratio(30.0, 20.0, 20.0)
    assert (found.value, found.credibility) == (50.0 / 40.0, 0.5)
    assert shrunk_ratio(0.0, 0.0, 0.0).value == 1.0
    assert shrunk_ratio(0.0, 0.0, 20.0).value == 1.0
    assert shrunk_ratio(30.0, 20.0, 0.0).value == 1.5
