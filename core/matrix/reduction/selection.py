"""Choose scenarios that, equally weighted, are as like all generated ones as so few can be.

Likeness is the maximum mean discrepancy of a kernel with two parts: the energy distance of the square roots of the
multiples, which sees the whole joint distribution and is not deafened by its few largest values; and, for every bucket,
the squared error of its mean multiple in its standard deviations, since the optimum is chosen by means. The two weigh
alike: a scenario's mean distance to the others against the sum over buckets.

    minimize  2 mean_i a_i - mean_ij C_ij  over the chosen;  C_ij = |r_i - r_j| - lambda z_i . z_j,  a_i = mean_all C_i.

with r the roots and z the standardized multiples of a scenario. Chosen one after the other, each the best beside those
before; then each in turn is exchanged for a better one, for at most so many sweeps.
Sources: Szekely & Rizzo (2013), "Energy statistics"; Chen, Welling & Smola (2010), "Super-samples from kernel herding";
Heitsch & Romisch (2003), "Scenario reduction algorithms in stochastic programming", for forward selection.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from core.arrays import BoolArray, Float32Array, FloatArray, IntArray
from core.errors import BadInput
from core.simulation.inputs import MOST_GENERATED

AddPairs = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], None]
"""Adds to the first what it makes of the last two; the second is room to work in."""

SWEEPS = 4
BLOCK_ROWS = 250
"""Scenarios compared with all others at once; bounds memory and changes no result."""


def select_scenarios(moic: Float32Array, count: int) -> IntArray:
    """Ascending positions of the chosen scenarios, (count,), each once. moic: (n_buckets, n_scenarios).

    The same on every machine that follows IEEE 754: no sum here is left to a library to order.
    Raises BadInput unless 1 <= count <= n_scenarios <= MOST_GENERATED.
    """
    n = moic.shape[1]
    if n > MOST_GENERATED:
        raise BadInput.of("generatedScenarios", n, f"must be at most {MOST_GENERATED:,}")
    if not 1 <= count <= n:
        raise BadInput.of("scenarioCount", count, f"must be 1 to the {n:,} scenarios that are generated")
    if count == n:
        return np.arange(n)
    kernel = _kernel(moic.astype(np.float64))
    # Rows are added one after the other, column by column; the matrix is symmetric.
    attraction = np.add.reduce(kernel, axis=0, dtype=np.float64) / n
    chosen, potential = _choose_forward(kernel, attraction, count)
    return np.sort(_exchange(kernel, attraction, chosen, potential))


def _kernel(moic: FloatArray) -> Float32Array:
    """C, (n_scenarios, n_scenarios), symmetric."""
    kernel = _pairwise(np.sqrt(moic), _add_squared_difference)
    np.sqrt(kernel, out=kernel)
    n_buckets, n = moic.shape
    weight = math.fsum(np.add.reduce(kernel, axis=0, dtype=np.float64)) / n**2 / n_buckets
    kernel -= np.float32(weight) * _pairwise(_standardized(moic), _add_product)
    return kernel


def _pairwise(rows: FloatArray, add: AddPairs) -> Float32Array:
    """Sum over the rows (one a bucket) of what `add` makes of every pair of columns. Shape (n, n), symmetric."""
    n = rows.shape[1]
    found = np.empty((n, n), dtype=np.float32)
    for start in range(0, n, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, n)
        block = np.zeros((stop - start, n - start))
        pair = np.empty_like(block)
        for row in rows:
            add(block, pair, row[start:stop, None], row[None, start:])
        found[start:stop, start:] = block
        found[start:, start:stop] = block.T
    return found


def _add_squared_difference(total: FloatArray, pair: FloatArray, one: FloatArray, other: FloatArray) -> None:
    np.subtract(one, other, out=pair)
    np.multiply(pair, pair, out=pair)
    np.add(total, pair, out=total)


def _add_product(total: FloatArray, pair: FloatArray, one: FloatArray, other: FloatArray) -> None:
    np.multiply(one, other, out=pair)
    np.add(total, pair, out=total)


def _standardized(moic: FloatArray) -> FloatArray:
    """Each bucket's multiples with mean 0 and standard deviation 1; a bucket that never differs is 0."""
    n = moic.shape[1]
    rows = []
    for row in moic:
        centred = row - math.fsum(row) / n
        spread = math.sqrt(math.fsum(centred**2) / n)
        rows.append(centred / spread if spread > 0 else np.zeros(n))
    return np.array(rows)


def _choose_forward(kernel: Float32Array, attraction: FloatArray, count: int) -> tuple[IntArray, FloatArray]:
    """The chosen, (count,), and each scenario's sum of C over them, (n,)."""
    chosen = np.empty(count, dtype=np.int64)
    potential = np.zeros(attraction.size)
    own = np.diagonal(kernel).astype(np.float64)
    taken = np.zeros(attraction.size, dtype=np.bool_)
    for place in range(count):
        chosen[place] = _best(attraction, potential, own, taken, place + 1)
        taken[chosen[place]] = True
        potential += kernel[chosen[place]]
    return chosen, potential


def _exchange(kernel: Float32Array, attraction: FloatArray, chosen: IntArray, potential: FloatArray) -> IntArray:
    own = np.diagonal(kernel).astype(np.float64)
    taken = np.zeros(attraction.size, dtype=np.bool_)
    taken[chosen] = True
    for _ in range(SWEEPS):
        before = chosen.copy()
        for place in range(chosen.size):
            # Without this one: would another be better in its place? The first of equals, and itself among them.
            potential -= kernel[chosen[place]]
            taken[chosen[place]] = False
            chosen[place] = _best(attraction, potential, own, taken, chosen.size)
            taken[chosen[place]] = True
            potential += kernel[chosen[place]]
        if np.array_equal(before, chosen):
            break
    return chosen


def _best(attraction: FloatArray, potential: FloatArray, own: FloatArray, taken: BoolArray, size: int) -> int:
    """The scenario whose addition, as one of `size`, leaves the least discrepancy."""
    score = 2.0 * attraction * size - 2.0 * potential - own
    score[taken] = np.inf
    return int(np.argmin(score))
