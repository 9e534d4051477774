"""Strict figures equal what exact arithmetic gives, and solver noise becomes neither a loss nor a portfolio."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import BadInput, SolverFailed
from core.portfolio.limits import Limits
from core.portfolio.strict import (
    evaluate,
    loss_count,
    normalize_weights,
    portfolio_multiples,
    shortfalls,
)
from core.risk.measures import cvar
from core.stages import Stage
from tests.unit.core.simulated_fund import deal_bucket, make_config, matrix_of

losses_strategy = arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1))
confidences = st.floats(0, 0.999)


def exact_cvar(losses: np.ndarray, confidence: float) -> Fraction:
    """The worst scenarios one by one until the tail is full, in rational numbers."""
    tail = (1 - Fraction(confidence)) * len(losses)
    room, total = tail, Fraction(0)
    for loss in sorted(losses.tolist(), reverse=True):
        share = min(room, Fraction(1))
        total += share * Fraction(loss)
        room -= share
    return total / tail


@given(losses=losses_strategy, confidence=confidences)
def test_cvar_is_the_mean_of_the_worst_tail_with_its_last_scenario_in_part(
    losses: np.ndarray, confidence: float
) -> None:
    expected = float(exact_cvar(losses, confidence))
    assert cvar(losses, confidence) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(losses=losses_strategy, confidence=confidences)
def test_cvar_is_the_least_value_of_rockafellar_and_uryasevs_function(losses: np.ndarray, confidence: float) -> None:
    # The function is piecewise linear in t and so takes its least value at one of the losses.
    values = [t + np.maximum(losses - t, 0).sum() / ((1 - confidence) * losses.size) for t in losses]
    assert cvar(losses, confidence) == pytest.approx(min(values), rel=1e-9, abs=1e-12)


def test_cvar_by_hand() -> None:
    losses = np.array([0.1, 0.0, 0.5, 0.3])
    assert cvar(losses, 0.0) == pytest.approx(0.225)
    assert cvar(losses, 0.5) == pytest.approx(0.4)
    assert cvar(losses, 0.6) == pytest.approx((0.5 + 0.6 * 0.3) / 1.6)
    assert cvar(losses, 0.9) == pytest.approx(0.5)


@given(losses=losses_strategy, low=confidences, high=confidences)
def test_cvar_grows_with_confidence_and_lies_between_mean_and_worst(
    losses: np.ndarray, low: float, high: float
) -> None:
    low, high = sorted((low, high))
    at_low, at_high = cvar(losses, low), cvar(losses, high)
    assert losses.mean() - 1e-12 <= at_low <= at_high + 1e-12
    assert at_high <= losses.max() + 1e-12


@pytest.mark.parametrize(("losses", "confidence"), [([], 0.95), ([0.1], 1.0), ([0.1], -0.1), ([0.1], math.nan)])
def test_cvar_without_scenarios_or_with_an_impossible_confidence_is_an_error(
    losses: list[float], confidence: float
) -> None:
    with pytest.raises(BadInput):
        cvar(np.array(losses), confidence)


@given(data=st.data(), n_buckets=st.integers(1, 8), cash=st.floats(0, 1))
def test_portfolio_multiples_are_the_weighted_sums_and_cash(data: st.DataObject, n_buckets: int, cash: float) -> None:
    moic = data.draw(arrays(np.float32, (n_buckets, 5), elements=st.floats(0, 1024, width=32)))
    weights = data.draw(arrays(np.float64, n_buckets, elements=st.floats(0, 1)))
    exact = [
        float(
            Fraction(cash) + sum(Fraction(float(w)) * Fraction(float(m)) for w, m in zip(weights, column, strict=True))
        )
        for column in moic.T
    ]
    assert portfolio_multiples(weights, moic, cash).tolist() == pytest.approx(exact, rel=1e-13)


@given(raw=arrays(np.float64, st.integers(1, 60), elements=st.floats(0.001, 1)))
def test_no_portfolio_of_break_even_buckets_counts_as_a_loss(raw: np.ndarray) -> None:
    weights = normalize_weights(raw / raw.sum())
    multiples = portfolio_multiples(weights, np.ones((raw.size, 7), dtype=np.float32))
    assert loss_count(multiples) == 0


def test_a_loss_begins_below_one_minus_a_billionth() -> None:
    multiples = np.array([0.0, 1 - 2e-9, 1 - 1.1e-9, 1 - 0.9e-9, 1.0, 3.0])
    assert loss_count(multiples) == 3
    assert shortfalls(multiples)[[0, 4, 5]].tolist() == [1.0, 0.0, 0.0]


@given(
    raw=arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1)).filter(lambda w: w.sum() > 0.01),
    noise=st.floats(-1e-8, 1e-8),
)
def test_noisy_weights_become_a_portfolio_next_to_them(raw: np.ndarray, noise: float) -> None:
    noisy = raw / raw.sum()
    noisy[0] += noise
    weights = normalize_weights(noisy)
    assert (weights >= 0).all()
    assert math.fsum(weights) == pytest.approx(1.0, abs=1e-15)
    np.testing.assert_allclose(weights, noisy, atol=3e-8)


@pytest.mark.parametrize("weights", [[0.5, 0.4], [1.1, -0.1], [math.nan, 1.0], [math.inf, 0.0], [1.00001]], ids=str)
def test_weights_far_from_a_portfolio_are_refused_and_not_rescaled(weights: list[float]) -> None:
    with pytest.raises(SolverFailed, match="sum to 1"):
        normalize_weights(np.array(weights))


def test_all_figures_by_hand() -> None:
    config = make_config(
        (deal_bucket(Stage.A, "X", 2e6), deal_bucket(Stage.SEED, "X", 1e6)),
        total_fund_size_usd=4e7,
        cvar_confidence_level=0.5,
    )
    matrix = matrix_of({"A_X": [2.0, 0.0, 1.0, 1.0], "Seed_X": [0.0, 0.0, 20.0, 1.0]}, win_probability=[0.0, 0.25])
    figures = evaluate(np.array([0.75, 0.25]), matrix, config)
    assert figures.expected_moic == pytest.approx((1.5 + 0.0 + 5.75 + 1.0) / 4)
    assert (figures.loss_count, figures.loss_probability) == (1, 0.25)
    assert figures.cvar == pytest.approx(0.5)
    assert figures.expected_winners == pytest.approx(0.25 * 40 * 0.25)
    half_in_cash = evaluate(np.array([0.375, 0.125]), matrix, config, cash_weight=0.5)
    assert half_in_cash.expected_moic == pytest.approx(0.5 + figures.expected_moic / 2)
    assert half_in_cash.cvar == pytest.approx(0.25)


@given(data=st.data())
def test_permuting_the_scenarios_changes_no_figure(data: st.DataObject) -> None:
    config = make_config((deal_bucket(Stage.A, "X"), deal_bucket(Stage.SEED, "X")))
    multiples = st.lists(st.floats(0, 50, width=32), min_size=9, max_size=9)
    rows = {"A_X": data.draw(multiples), "Seed_X": data.draw(multiples)}
    order = data.draw(st.permutations(range(9)))
    permuted = {key: [row[i] for i in order] for key, row in rows.items()}
    weights = np.array([0.3, 0.7])
    assert evaluate(weights, matrix_of(rows), config) == evaluate(weights, matrix_of(permuted), config)


@pytest.mark.parametrize(
    ("probability", "scenarios", "allowed"),
    [(0.1, 400, 40), (0.07, 100, 7), (0.123, 400, 49), (0.0, 50, 0), (1.0, 50, 50)],
)
def test_the_allowed_losses_are_the_whole_scenarios_within_the_probability(
    probability: float, scenarios: int, allowed: int
) -> None:
    config = make_config((deal_bucket(Stage.A, "X"),), max_loss_probability=probability, cvar_limit=0.3)
    limits = Limits.of(config, scenarios)
    assert limits.max_losses == allowed
    assert (limits.cvar_limit, limits.cvar_confidence, limits.bucket_max_weight) == (0.3, 0.95, None)


@pytest.mark.parametrize("confidence", [0.0, 0.5, 0.6, 0.95])
def test_equal_weights_and_losses_left_out_change_nothing_about_cvar(confidence: float) -> None:
    losses = np.array([0.5, 0.5, 0.2, 0.0, 0.5, 0.0, 0.1, 0.0])
    expected = cvar(losses, confidence)
    assert cvar(losses, confidence, np.full(8, 1 / 8)) == pytest.approx(expected, abs=1e-15)
    assert cvar(losses[losses > 0.0], confidence, n_scenarios=8) == expected
