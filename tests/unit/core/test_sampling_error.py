"""Standard errors are what many samples show, and so are the comparisons that rest on them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.portfolio.strict import shortfalls
from core.risk.comparison_portfolios import ComparisonPortfolio
from core.risk.intervals import NORMAL_QUANTILE
from core.risk.measures import cvar
from core.risk.sampling_error import mean_error, required_sample_size, standard_errors, tail_contributions
from core.risk.validate import ValidationMetrics
from core.stages import Stage
from tests.unit.core.simulated_fund import MULTIPLES, make_bucket, make_inputs
from tests.unit.core.test_validation import EQUAL, validated


def drawn_multiples(seed: int, n: int) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0.3, 0.6, n))


def test_standard_errors_are_the_spread_of_the_figures_over_many_samples() -> None:
    samples = [drawn_multiples(seed, 800) for seed in range(800)]
    figures = np.array([(m.mean(), (m < 1).mean(), cvar(shortfalls(m), 0.9), (2 * m).mean()) for m in samples])
    told = [standard_errors(m, 2 * m, 0.9) for m in samples]
    claimed = np.array([(e.expected_moic, e.loss_probability, e.cvar, e.expected_winners) for e in told])
    # A standard deviation of 800 values is known to 1 / sqrt(1600) = 2.5%; CVaR's formula holds to first order.
    assert figures.std(axis=0, ddof=1) == pytest.approx(claimed.mean(axis=0), rel=0.1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0, 0.99))
def test_value_at_risk_and_its_tail_contributions_make_the_cvar(losses: list[float], confidence: float) -> None:
    values = np.array(losses)
    contributions = tail_contributions(values, confidence)
    beyond = np.flatnonzero(contributions > 0)
    at_risk = (values[beyond] - contributions[beyond] * (1 - confidence)).max() if beyond.size else values.max()
    assert at_risk + contributions.mean() == pytest.approx(cvar(values, confidence), abs=1e-9)


def test_one_scenario_tells_nothing_of_its_error() -> None:
    alone = standard_errors(np.array([2.0]), np.array([1.0]), 0.95)
    assert (alone.expected_moic, alone.loss_probability, alone.cvar, alone.expected_winners) == (None,) * 4
    assert mean_error(np.array([1.0, 3.0])) == pytest.approx(1.0)


def test_so_many_scenarios_settle_a_difference_and_one_less_would_not() -> None:
    needed = required_sample_size(0.1, 0.08, 1000)
    error = 0.08 * math.sqrt(1000 / needed)
    assert NORMAL_QUANTILE * error <= 0.1 < NORMAL_QUANTILE * 0.08 * math.sqrt(1000 / (needed - 1))
    assert required_sample_size(-0.1, 0.08, 1000) == needed
    assert required_sample_size(0.0, 0.08, 1000) is None
    assert required_sample_size(0.1, 0.0, 1000) == 2


def comparison_of(metrics: ValidationMetrics, name: str) -> ComparisonPortfolio:
    (found,) = [other for other in metrics.comparison_portfolios if other.name == name]
    return found


def test_buckets_that_are_alike_leave_the_answer_within_the_noise_of_equal_weights() -> None:
    buckets = tuple(make_bucket(Stage.B, f"S{i:02d}", 1.9, 7.0) for i in range(12))
    weights = np.array([0.3] + [0.7 / 11] * 11)
    metrics = validated(make_inputs(buckets=buckets), weights, validation_scenarios=2000)
    equal = comparison_of(metrics, "equal_weights")
    # Seeded: a difference of no more than one standard error is what two chances of three bring.
    assert abs(equal.difference) < 3 * equal.standard_error
    assert equal.within_noise == (abs(equal.difference) <= equal.standard_error)
    assert equal.required_sample_size > 2000 or abs(equal.difference) > 1.9 * equal.standard_error


def test_an_answer_that_is_plainly_better_is_not_within_noise_and_settled() -> None:
    # C multiples are far below Seed's here.
    inputs = make_inputs()
    weights = np.array([float(bucket.stage is Stage.SEED) for bucket in inputs.buckets])
    metrics = validated(inputs, weights / weights.sum(), validation_scenarios=20_000)
    equal = comparison_of(metrics, "equal_weights")
    assert MULTIPLES[Stage.SEED] > MULTIPLES[Stage.C]
    assert not equal.within_noise
    assert equal.required_sample_size <= 20_000
    assert equal.difference == pytest.approx(metrics.out_of_sample.mean - equal.expected_moic)


def test_the_comparison_is_scenario_by_scenario() -> None:
    weights = np.array([1 / 12 + 1e-3, 1 / 12 - 1e-3] + [1 / 12] * 10)
    metrics = validated(make_inputs(), weights, validation_scenarios=1000)
    equal = comparison_of(metrics, "equal_weights")
    assert equal.standard_error < metrics.out_of_sample.standard_error / 50


def test_the_answer_is_not_compared_with_itself_and_others_say_whether_they_keep_the_limits() -> None:
    metrics = validated(make_inputs(), EQUAL, validation_scenarios=300)
    assert [other.name for other in metrics.comparison_portfolios] == ["greedy"]
    capped = validated(make_inputs(), np.array([0.5, 0.5] + [0.0] * 10), validation_scenarios=300, cvar_limit=0.01)
    assert comparison_of(capped, "equal_weights").feasible is False
    assert comparison_of(capped, "greedy").feasible == capped.greedy.feasible


def test_in_sample_errors_are_those_of_the_matrix() -> None:
    small, large = (
        validated(make_inputs(scenario_count=n), EQUAL, validation_scenarios=2000).errors for n in (200, 3200)
    )
    assert small.expected_winners / large.expected_winners == pytest.approx(4.0)
    assert small.loss_probability > large.loss_probability > 0


def test_a_limit_that_is_not_settled_says_how_many_scenarios_would_tell() -> None:
    first = validated(make_inputs(), EQUAL, validation_scenarios=1000).out_of_sample.loss_probability
    close = validated(
        make_inputs(), EQUAL, validation_scenarios=1000, max_loss_probability=first.value + 0.005
    ).out_of_sample.loss_probability
    assert close.holds == "within_error"
    share, error = first.value, close.estimate.standard_error
    assert error == pytest.approx(math.sqrt(share * (1 - share) / 1000))
    assert close.required_sample_size == max(1001, math.ceil(1000 * (NORMAL_QUANTILE * error / 0.005) ** 2))
    assert first.required_sample_size is None
