"""How sure an estimate from simulated scenarios is: 95% intervals, the same for the same matrix key."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray, IntArray
from core.errors import BadInput
from core.simulation.philox import Purpose, raw_words

CONFIDENCE = 0.95
NORMAL_QUANTILE = 1.959963984540054
"""The standard normal's quantile at (1 + CONFIDENCE) / 2."""

JOINT_QUANTILE = 2.241402727604947
"""The same at 1 - (1 - CONFIDENCE) / 4: two intervals as wide as this hold together with CONFIDENCE (Bonferroni)."""

REPLICATES = 1000
CELLS_AT_ONCE = 2_000_000
"""Replicates are evaluated in chunks of about this many counts, which bounds memory and changes no result."""

Statistic = Callable[[IntArray], FloatArray]
"""From how often each scenario was drawn, (replicates, n_scenarios), to the statistic of each replicate."""


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


def normal(value: float, error: float, quantile: float = NORMAL_QUANTILE) -> Interval:
    """Of a mean of many values with this standard error."""
    return Interval(value - quantile * error, value + quantile * error)


def wilson(successes: int, trials: int, quantile: float = NORMAL_QUANTILE) -> Interval:
    """Interval of a proportion, sound also for few successes or none. quantile: of the standard normal, at its ends.

    Raises BadInput unless 0 <= successes <= trials and trials >= 1.
    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    if not 0 <= successes <= trials or trials < 1:
        raise BadInput.of("successes", (successes, trials), "must be between 0 and the number of trials, at least 1")
    share, z2 = successes / trials, quantile**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = quantile / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    # At either end the formula gives exactly 0 or 1, but for rounding.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return Interval(low, high)


def resampled_mean(values: FloatArray) -> Statistic:
    """The mean. values: (n_scenarios,)."""

    def statistic(counts: IntArray) -> FloatArray:
        means: FloatArray = (counts * values).sum(axis=1) / values.size
        return means

    return statistic


def resampled_cvar(losses: FloatArray, confidence: float) -> Statistic:
    """CVaR as `core.risk.measures.cvar` defines it, of all replicates at once: a call for each would sort each anew.

    losses: (n_scenarios,), >= 0; confidence: in [0, 1).
    """
    tail = (1.0 - confidence) * losses.size
    # Scenarios without a loss add nothing to the tail, so only the others need to be ranked.
    ranked = np.argsort(-losses, kind="stable")[: np.count_nonzero(losses)]
    worst = losses[ranked]

    def statistic(counts: IntArray) -> FloatArray:
        drawn = counts[:, ranked]
        before = np.cumsum(drawn, axis=1) - drawn
        in_tail = np.clip(tail - before, 0.0, drawn)
        cvars: FloatArray = (in_tail * worst).sum(axis=1) / tail
        return cvars

    return statistic


def bootstrap(
    statistics: Mapping[str, Statistic], n_scenarios: int, matrix_key: str, replicates: int = REPLICATES
) -> dict[str, Interval]:
    """Percentile intervals of all statistics from the same resamples of the scenarios, by name.

    Source: Efron & Tibshirani (1993), "An introduction to the bootstrap", chapter 13.
    """
    found: dict[str, list[FloatArray]] = {name: [] for name in statistics}
    for counts in _resample_counts(n_scenarios, matrix_key, replicates):
        for name, statistic in statistics.items():
            found[name].append(statistic(counts))
    tails = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    return {name: Interval(*np.quantile(np.concatenate(values), tails).tolist()) for name, values in found.items()}


def _resample_counts(n_scenarios: int, matrix_key: str, replicates: int) -> Iterator[IntArray]:
    """How often each scenario is drawn in n_scenarios draws with replacement, a chunk of replicates at a time."""
    at_once = max(1, CELLS_AT_ONCE // n_scenarios)
    for start in range(0, replicates, at_once):
        chunk = range(start, min(start + at_once, replicates))
        yield np.stack([_counts_of(n_scenarios, matrix_key, replicate) for replicate in chunk])


def _counts_of(n_scenarios: int, matrix_key: str, replicate: int) -> IntArray:
    # The upper 32 bits times n, shifted down: uniform over the scenarios but for n / 2^32, which no interval shows.
    words = raw_words(matrix_key, Purpose.BOOTSTRAP, replicate, 0, count=n_scenarios)
    drawn = (words >> np.uint64(32)) * np.uint64(n_scenarios) >> np.uint64(32)
    return np.bincount(drawn.astype(np.int64), minlength=n_scenarios)
