"""Expected multiples and winner chances of `three_component_v1`, in closed form but for integrals over its shocks.

A company exits with a chance that no shock moves; its multiple is then Pareto with the bucket's exponent alpha and a
smallest value of x (1 + 0.3 R) (1 + 0.25 S + 0.15 I), R the regime's shock, S and I uniform in [-1, 1]. So without
recycling

    E[multiple] = P(exit) x alpha / (alpha - 1) (1 + 0.3 E[R])

A Pareto distribution with alpha <= 1 has no mean. Draws stop at a uniform of 1 - 2^-33, which takes the share
2^(-33 (1 - 1 / alpha)) / alpha off the mean of what is simulated: that is the error stated here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import FloatArray
from core.errors import BadInput
from core.matrix.scenario_set import Expectations
from core.simulation.expectations import by_distribution, distribution_key
from core.simulation.inputs import BucketParams, SimulationInputs
from core.simulation.three_component_v1 import (
    IDIOSYNCRATIC_WEIGHT,
    LARGEST_UNIFORM,
    REGIME_IMPACT,
    SHOCK_SWING,
    SYSTEMATIC_WEIGHT,
    power_law_alpha,
)
from core.simulation.three_component_v1_out_of_sample import exit_probability, out_of_sample

NODES = 64
"""Gauss-Legendre, in each shock."""

RECYCLED_COMPANIES = 400_000
"""Drawn to count winners among companies whose proceeds are invested again."""


def expectations(inputs: SimulationInputs) -> Expectations:
    """Of every bucket. Raises BadInput for a bucket whose multiples have no mean."""

    def evaluate(position: int, distribution: BucketParams) -> tuple[float, float, float, float]:
        if power_law_alpha(distribution.median_moic, distribution.p90_moic) <= 1.0:
            field = f"{inputs.buckets[position].key}.p90_moic"
            raise BadInput.of(field, distribution.p90_moic, no_mean_rule(distribution.median_moic))
        return _of_distribution(inputs, distribution)

    return by_distribution(inputs.buckets, evaluate)


def no_mean_rule(median: float) -> str:
    return f"must be below 5 times the median ({median:g}): the multiples have no mean otherwise"


@dataclass(frozen=True, slots=True)
class _Nodes:
    """smallest: (n,), the least multiple of an exit at each node of the shocks, weight: likewise, summing to 1."""

    smallest: FloatArray
    weight: FloatArray


def _of_distribution(inputs: SimulationInputs, distribution: BucketParams) -> tuple[float, float, float, float]:
    alpha = power_law_alpha(distribution.median_moic, distribution.p90_moic)
    exits = exit_probability(distribution.stage, inputs.transitions, inputs.max_rounds)
    nodes = _nodes(inputs, distribution, alpha)
    mean_of_exit = nodes.smallest * alpha / (alpha - 1.0)
    cut_off = (1.0 - LARGEST_UNIFORM) ** (1.0 - 1.0 / alpha) / alpha
    if not inputs.recycling.enabled:
        mean = exits * math.fsum(nodes.weight * mean_of_exit)
        win = exits * math.fsum(nodes.weight * np.minimum(1.0, nodes.smallest / inputs.winner_multiple) ** alpha)
        return mean, win, mean * cut_off, 0.0
    terms = inputs.recycling
    above_one = np.minimum(1.0, nodes.smallest) ** alpha * np.maximum(1.0, nodes.smallest) * alpha / (alpha - 1.0)
    bought = 1.0 + terms.utilization * mean_of_exit * math.fsum(1.0 / i for i in range(1, terms.max_recycle_deals + 1))
    recycled = mean_of_exit - above_one + terms.cash_multiple * above_one * bought
    mean = exits * math.fsum(nodes.weight * recycled)
    win, win_error = _drawn_winners(inputs, distribution)
    return mean, win, 2.0 * mean * cut_off, win_error


def _nodes(inputs: SimulationInputs, distribution: BucketParams, alpha: float) -> _Nodes:
    abscissa, share = np.polynomial.legendre.leggauss(NODES)
    share = share / 2.0
    smallest = distribution.median_moic / 2.0 ** (1.0 / alpha)
    systematic, own = np.meshgrid(abscissa, abscissa, indexing="ij")
    shocks = 1.0 + SHOCK_SWING * (SYSTEMATIC_WEIGHT * systematic + IDIOSYNCRATIC_WEIGHT * own)
    shares = np.outer(share, share)
    values, weights = [], []
    for probability, regime in _regime_nodes(inputs, abscissa, share):
        values.append(smallest * (1.0 + REGIME_IMPACT * regime) * shocks.ravel())
        weights.append(probability * shares.ravel())
    return _Nodes(np.concatenate(values), np.concatenate(weights))


def _regime_nodes(inputs: SimulationInputs, abscissa: FloatArray, share: FloatArray) -> Iterator[tuple[float, float]]:
    total = math.fsum(regime.probability for regime in inputs.regimes)
    for regime in inputs.regimes:
        for x, part in zip(abscissa.tolist(), share.tolist(), strict=True):
            shock = regime.shock_min + (regime.shock_max - regime.shock_min) * (x + 1.0) / 2.0
            yield regime.probability / total * part, shock


def _drawn_winners(inputs: SimulationInputs, distribution: BucketParams) -> tuple[float, float]:
    """The share of winners and its standard error."""
    key = distribution_key(inputs, distribution)
    alone = replace(inputs, matrix_key=key, buckets=(distribution,), correlation=None)
    multiples = out_of_sample(alone, RECYCLED_COMPANIES, np.ones(1, dtype=np.int64)).moic[0]
    win = np.count_nonzero(multiples >= inputs.winner_multiple) / multiples.size
    return win, math.sqrt(win * (1.0 - win) / multiples.size)
