"""From weights to money: cents that add up to the fund, and whole deals that it can pay for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from core.arrays import FloatArray, IntArray
from core.errors import BadInput
from core.request.normalized_config import NormalizedConfig


@dataclass(frozen=True, slots=True)
class WholeDeals:
    """What the fund can really buy. counts, spent_cents: (n_buckets,); spent and cash add up to the fund.

    weights: (n_buckets,), spent / fund; with cash_weight they add up to 1.
    """

    counts: IntArray
    spent_cents: IntArray
    cash_cents: int
    weights: FloatArray
    cash_weight: float


def to_cents(usd: float) -> int:
    """Whole cents, half a cent up. usd: finite."""
    cents = usd * 100.0
    whole = math.floor(cents)
    return whole + (cents - whole >= 0.5)


def dollars(weights: FloatArray, total_fund_size_usd: float) -> IntArray:
    """Cents per bucket, (n_buckets,), that add up exactly to the fund; weights: (n_buckets,), >= 0, not all 0.

    By largest remainder: every bucket gets its share rounded down, and the cents left over go one by one to the
    largest remainders, the earlier bucket first where they are equal. Exact, in rational numbers.
    """
    fund = to_cents(total_fund_size_usd)
    shares = [Fraction(float(weight)) for weight in weights]
    total = sum(shares, start=Fraction(0))
    ideal = [share * fund / total for share in shares]
    cents = [math.floor(amount) for amount in ideal]
    by_remainder = sorted(range(len(ideal)), key=lambda b: cents[b] - ideal[b])
    for b in by_remainder[: fund - sum(cents)]:
        cents[b] += 1
    return np.array(cents, dtype=np.int64)


def whole_deals(weights: FloatArray, config: NormalizedConfig) -> WholeDeals:
    """Deals per bucket at the all-in cost of one, within the fund. weights: (n_buckets,), normalized.

    Every bucket's dollars buy whole deals; then, from the largest fraction of a deal down (the earlier bucket first
    where they are equal), a bucket gets one deal more if the cash that is left pays for it.
    Raises BadInput for a deal that costs less than a cent.
    """
    fund = to_cents(config.total_fund_size_usd)
    costs = [to_cents(bucket.all_in_cost_usd) for bucket in config.buckets]
    if min(costs) < 1:
        raise BadInput.of("initial_check_usd", min(costs) / 100, "a deal must cost at least one cent")
    budgets = dollars(weights, config.total_fund_size_usd).tolist()
    wanted = [Fraction(budget, cost) for budget, cost in zip(budgets, costs, strict=True)]
    counts = [math.floor(deals) for deals in wanted]
    cash = fund - sum(count * cost for count, cost in zip(counts, costs, strict=True))
    for b in sorted(range(len(wanted)), key=lambda b: counts[b] - wanted[b]):
        if wanted[b] > counts[b] and costs[b] <= cash:
            counts[b] += 1
            cash -= costs[b]
    spent = np.array([count * cost for count, cost in zip(counts, costs, strict=True)], dtype=np.int64)
    return WholeDeals(np.array(counts, dtype=np.int64), spent, cash, spent / fund, cash / fund)
