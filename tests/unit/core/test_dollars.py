"""Dollars add up to the cent, whole deals never cost more than the fund has."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import BadInput
from core.portfolio.dollars import dollars, to_cents, whole_deals
from core.request.normalized_config import NormalizedConfig
from core.stages import Stage
from tests.unit.core.simulated_fund import deal_bucket, make_config

weights_strategy = (
    arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1))
    .filter(lambda w: w.sum() > 0.01)
    .map(lambda w: w / w.sum())
)
funds = st.integers(1, 10**13).map(lambda cents: cents / 100)


def fund_of(*costs_usd: float, total_usd: float) -> NormalizedConfig:
    buckets = [deal_bucket(Stage.A, f"S{i:02d}", cost) for i, cost in enumerate(costs_usd)]
    return make_config(tuple(buckets), total_fund_size_usd=total_usd)


@given(weights=weights_strategy, fund=funds)
def test_dollars_add_up_to_the_fund_and_none_is_a_cent_off_its_share(weights: np.ndarray, fund: float) -> None:
    cents = dollars(weights, fund)
    total = sum(Fraction(w) for w in weights.tolist())
    assert sum(cents.tolist()) == to_cents(fund)
    for amount, weight in zip(cents.tolist(), weights.tolist(), strict=True):
        assert abs(amount - Fraction(weight) * to_cents(fund) / total) < 1
        assert amount > 0 or weight * fund < 0.01 * 1.000001


@given(weights=weights_strategy, cents=st.integers(1, 10**9), factor=st.integers(2, 1000))
def test_scaling_the_fund_scales_the_dollars(weights: np.ndarray, cents: int, factor: int) -> None:
    small, large = dollars(weights, cents / 100), dollars(weights, cents * factor / 100)
    assert (np.abs(large - factor * small) <= factor).all()


@given(weights=weights_strategy, fund=funds, data=st.data())
def test_permuting_the_buckets_permutes_the_dollars_but_for_equal_remainders(
    weights: np.ndarray, fund: float, data: st.DataObject
) -> None:
    order = np.array(data.draw(st.permutations(range(weights.size))))
    straight, permuted = dollars(weights, fund)[order], dollars(weights[order], fund)
    assert (np.abs(straight - permuted) <= 1).all()
    remainders = [
        Fraction(w) * to_cents(fund) / sum(Fraction(x) for x in weights.tolist()) % 1 for w in weights.tolist()
    ]
    if len(set(remainders)) == len(remainders):
        np.testing.assert_array_equal(straight, permuted)


def test_cents_left_over_go_to_the_largest_remainder_and_among_equals_to_the_first() -> None:
    assert dollars(np.array([1 / 3, 1 / 3, 1 / 3]), 1.0).tolist() == [34, 33, 33]
    assert dollars(np.array([0.125, 0.25, 0.625]), 0.1).tolist() == [1, 3, 6]  # 1.25, 2.5, 6.25


@pytest.mark.parametrize(
    ("usd", "cents"), [(0.0, 0), (0.004, 0), (0.005, 1), (2.675, 268), (1e8, 10**10), (123456789.12, 12345678912)]
)
def test_half_a_cent_rounds_up(usd: float, cents: int) -> None:
    assert to_cents(usd) == cents


@given(data=st.data(), weights=weights_strategy)
def test_whole_deals_cost_no_more_than_the_fund_and_lie_within_one_of_their_share(
    data: st.DataObject, weights: np.ndarray
) -> None:
    n = weights.size
    costs = data.draw(st.lists(st.integers(10**4, 10**9), min_size=n, max_size=n))
    fund = data.draw(st.integers(1, 10**11))
    deals = whole_deals(weights, fund_of(*(cost / 100 for cost in costs), total_usd=fund / 100))
    assert deals.spent_cents.tolist() == [
        count * cost for count, cost in zip(deals.counts.tolist(), costs, strict=True)
    ]
    assert deals.cash_cents >= 0
    assert sum(deals.spent_cents.tolist()) + deals.cash_cents == fund
    assert deals.weights.sum() + deals.cash_weight == pytest.approx(1.0)
    for count, cost, budget in zip(deals.counts.tolist(), costs, dollars(weights, fund / 100).tolist(), strict=True):
        assert abs(count - Fraction(budget, cost)) < 1
        if count < Fraction(budget, cost):
            # Rounding this bucket up as well would cost more than what is left.
            assert cost > deals.cash_cents


def test_the_largest_fraction_of_a_deal_is_served_first_and_what_does_not_fit_is_skipped() -> None:
    # Shares of $10M: 5, 3 and 2. Deals of 3, 2 and 1.5: 1.67, 1.5, 1.33 of them; 6.5 spent on one of each.
    config = fund_of(3e6, 2e6, 1.5e6, total_usd=1e7)
    deals = whole_deals(np.array([0.5, 0.3, 0.2]), config)
    assert (deals.counts.tolist(), deals.cash_cents) == ([2, 1, 1], 50_000_000)
    # .91 and 1.14 deals: the 6.6 of the first do not fit in the 6.5 that are left, the 3.5 of the second do.
    deals = whole_deals(np.array([0.6, 0.4]), fund_of(6.6e6, 3.5e6, total_usd=1e7))
    assert (deals.counts.tolist(), deals.cash_cents) == ([0, 2], 300_000_000)


def test_a_bucket_without_weight_buys_nothing_even_when_cash_is_left() -> None:
    deals = whole_deals(np.array([1.0, 0.0]), fund_of(3e6, 1e5, total_usd=1e7))
    assert (deals.counts.tolist(), deals.cash_cents) == ([3, 0], 100_000_000)


def test_equal_fractions_go_to_the_earlier_bucket() -> None:
    deals = whole_deals(np.array([0.5, 0.5]), fund_of(2e6, 2e6, total_usd=6e6))
    assert deals.counts.tolist() == [2, 1]


@given(n=st.integers(1, 20), each=st.integers(1, 50), factor=st.integers(2, 50))
def test_scaling_a_fund_of_even_deals_scales_the_deals(n: int, each: int, factor: int) -> None:
    weights = np.full(n, 1 / n)
    small = whole_deals(weights, fund_of(*[1e6] * n, total_usd=1e6 * n * each))
    large = whole_deals(weights, fund_of(*[1e6] * n, total_usd=1e6 * n * each * factor))
    assert small.counts.tolist() == [each] * n
    assert large.counts.tolist() == [each * factor] * n
    assert small.cash_cents == large.cash_cents == 0


def test_a_deal_below_one_cent_is_refused() -> None:
    with pytest.raises(BadInput, match="at least one cent"):
        whole_deals(np.array([1.0]), fund_of(0.001, total_usd=100.0))
