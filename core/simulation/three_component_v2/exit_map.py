"""From a company's latent variable to its rank among the companies that exit.

Failures and multiples both follow the common factors, so the companies that exit are a selection. Their multiple must
have the calibrated distribution all the same, so the map is the distribution of the latent variable given exit:

    F(z) = integral of Phi((z - t) / sqrt(c')) P_exit(t) f_T(t) dt / integral of P_exit(t) f_T(t) dt
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.arrays import FloatArray
from core.jit import kernel
from core.simulation.three_component_v2 import normal
from core.simulation.three_component_v2.factors import CommonFactors, common_density, common_distribution, common_scores
from core.simulation.three_component_v2.path import tilted_failure

NODES = 257
"""Of the trapezoid rule in t; with POINTS the ranks are right to 3e-6."""

POINTS = 1025
REACH = 8.0
"""The map is tabulated for z in [-REACH, REACH] and constant beyond."""

Z_STEP = 2.0 * REACH / (POINTS - 1)


class ExitMapper(NamedTuple):
    """What the maps of all stages and risk multipliers have in common.

    weight: (NODES,), of each node of T; score: likewise, G there. below, above: (POINTS, NODES), P(Z <= z | T) and
    its complement, each accurate in its own tail.
    """

    weight: FloatArray
    score: FloatArray
    below: FloatArray
    above: FloatArray


def exit_mapper(factors: CommonFactors) -> ExitMapper:
    reference, loading = factors.reference, factors.loading
    distribution = common_distribution(reference, loading)
    if loading.sector == 0.0:
        node, weight = np.zeros(1), np.ones(1)
    else:
        reach = REACH * loading.sector
        low, high = loading.regime * reference.low.min() - reach, loading.regime * reference.high.max() + reach
        node = low + (high - low) * (np.arange(NODES) / (NODES - 1))
        weight = common_density(distribution, node)
    below, above = _kernel(node, loading.idiosyncratic)
    return ExitMapper(weight, common_scores(distribution, node), below, above)


@kernel
def _kernel(node: FloatArray, idiosyncratic: float) -> tuple[FloatArray, FloatArray]:
    below, above = np.empty((POINTS, node.size)), np.empty((POINTS, node.size))
    for i in range(POINTS):
        z = -REACH + Z_STEP * i
        for j in range(node.size):
            x = (z - node[j]) / idiosyncratic
            tail = normal.cdf(-abs(x))
            below[i, j] = tail if x <= 0.0 else 1.0 - tail
            above[i, j] = 1.0 - tail if x <= 0.0 else tail
    return below, above


@kernel
def exit_scores(mapper: ExitMapper, failure_score: float, correlation: float) -> FloatArray:
    """The map: (POINTS,), normal scores of F at equally spaced z. All 0 where nothing exits.

    failure_score: normal score of the calibrated chance to fail. correlation: of failures.
    """
    weight, score, below, above = mapper
    share = np.empty_like(weight)
    total = 0.0
    for j in range(weight.size):
        share[j] = weight[j] * (1.0 - tilted_failure(failure_score, score[j], correlation))
        total += share[j]
    scores = np.zeros(below.shape[0])
    if total <= 0.0:
        return scores
    for i in range(scores.size):
        lower, upper = 0.0, 0.0
        for j in range(weight.size):
            lower += below[i, j] * share[j]
            upper += above[i, j] * share[j]
        scores[i] = normal.score(max(lower / total, 1e-300), max(upper / total, 1e-300))
    return scores


@kernel
def rank_score(scores: FloatArray, z: float) -> float:
    """Normal score of the rank of latent variable z among the exits, interpolated linearly."""
    place = (z + REACH) / Z_STEP
    if place <= 0.0:
        return float(scores[0])
    if place >= POINTS - 1:
        return float(scores[POINTS - 1])
    i = int(place)
    return float(scores[i] + (place - i) * (scores[i + 1] - scores[i]))
