"""Chances per round: a chain with these chances meets the incidence it was read from."""

from __future__ import annotations

import numpy as np
import pytest

from core.calibration.aalen_johansen import aalen_johansen
from core.calibration.round_rates import round_rates

RATES = np.array([0.25, 0.1, 0.15])


def chain(seed: int, companies: int, rounds: int, rates: np.ndarray = RATES) -> tuple[np.ndarray, np.ndarray]:
    """Months and causes of companies that live by the chain, each followed for a random number of whole rounds."""
    draw = np.random.default_rng(seed)
    followed = draw.integers(1, rounds + 1, companies)
    left_after = draw.geometric(rates.sum(), companies)
    cause = draw.choice(rates.size, companies, p=rates / rates.sum()) + 1
    return 18.0 * np.minimum(followed, left_after), np.where(left_after <= followed, cause, 0)


def test_the_chain_meets_the_incidence_at_the_horizon_exactly() -> None:
    incidence = aalen_johansen(*chain(1, 400, 6), 3)
    found = round_rates(incidence, 18.0, 72.0)
    stay, met = 1 - found.rates.sum(), np.zeros(3)
    for number in range(4):
        met += stay**number * found.rates
    assert met == pytest.approx(incidence.at(72.0), abs=1e-12)


def test_over_one_round_the_rates_are_the_incidence_itself() -> None:
    incidence = aalen_johansen(*chain(2, 400, 6), 3)
    found = round_rates(incidence, 18.0, 18.0)
    assert found.rates == pytest.approx(incidence.at(18.0), abs=1e-12)
    assert found.standard_errors == pytest.approx(np.sqrt(np.diag(incidence.covariance(18.0))), abs=1e-12)


def test_censored_companies_do_not_bias_the_rates_as_counting_them_failed_does() -> None:
    months, causes = chain(3, 20_000, 6)
    found = round_rates(aalen_johansen(months, causes, 3), 18.0, 72.0)
    assert np.all(np.abs(found.rates - RATES) < 4 * found.standard_errors)
    assert found.standard_errors.max() < 0.005
    counted_as_failed = ((causes == 3) | (causes == 0)).mean()
    assert counted_as_failed > 0.4


def test_standard_errors_and_intervals_are_what_many_samples_show() -> None:
    runs = [round_rates(aalen_johansen(*chain(seed, 250, 6), 3), 18.0, 72.0) for seed in range(400)]
    spread = np.std([run.rates for run in runs], axis=0, ddof=1)
    # A standard deviation of 400 values is known to 1 / sqrt(800) = 3.5%.
    assert spread == pytest.approx(np.mean([run.standard_errors for run in runs], axis=0), rel=0.15)
    covered = np.mean([(run.low <= RATES) & (run.high >= RATES) for run in runs], axis=0)
    # 95% of 400 is 380 +- 4.4.
    assert np.all(covered > 0.91)


def test_the_horizon_ends_where_too_few_are_followed() -> None:
    months = np.concatenate([np.full(95, 20.0), [30.0, 40.0, 50.0, 60.0, 70.0]])
    causes = np.zeros(100, dtype=np.int64)
    causes[:40] = 1
    found = round_rates(aalen_johansen(months, causes, 3), 18.0, 72.0)
    assert found.horizon_months == 20.0
    few = round_rates(aalen_johansen(np.array([10.0, 20.0, 30.0, 40.0]), np.array([1, 0, 0, 0]), 3), 18.0, 72.0)
    assert few.horizon_months == 40.0


def test_where_everybody_leaves_the_pace_is_that_of_the_likeliest_constant_hazard() -> None:
    months, causes = np.array([12.0, 24.0, 36.0, 36.0]), np.array([1, 2, 3, 3])
    found = round_rates(aalen_johansen(months, causes, 3), 18.0, 72.0)
    assert found.rates.sum() == pytest.approx(1 - np.exp(-4 / (108 / 18)))
    assert found.rates / found.rates.sum() == pytest.approx([0.25, 0.25, 0.5])
    draw = np.random.default_rng(0)
    runs = []
    for _ in range(400):
        all_left = draw.exponential(18.0 / 0.7, 200), draw.choice(3, 200, p=[0.5, 0.2, 0.3]) + 1
        runs.append(round_rates(aalen_johansen(*all_left, 3), 18.0, 1e6))
    truth = -np.expm1(-0.7) * np.array([0.5, 0.2, 0.3])
    assert np.mean([run.rates for run in runs], axis=0) == pytest.approx(truth, rel=0.03)
    spread = np.std([run.rates for run in runs], axis=0, ddof=1)
    assert spread == pytest.approx(np.mean([run.standard_errors for run in runs], axis=0), rel=0.15)


def test_nothing_observed_gives_nothing() -> None:
    assert round_rates(aalen_johansen(np.zeros(3), np.array([0, 1, 0]), 3), 18.0, 72.0) is None


def test_a_cause_nobody_met_may_still_exist() -> None:
    found = round_rates(aalen_johansen(np.full(50, 36.0), np.zeros(50, dtype=np.int64), 3), 18.0, 72.0)
    assert found.rates.tolist() == [0.0, 0.0, 0.0]
    assert found.company_rounds == pytest.approx(100.0)
    # The chance to meet nobody in 100 rounds at this rate is 2.5%.
    assert (1 - found.high) ** 100 == pytest.approx([0.025] * 3)
