"""The common factors of a scenario: the regime's shock R and one factor Y a sector; what is common to a sector is

    T = sqrt(a') R + sqrt(b') Y

R is standardized by the reference regimes: a mixture of uniforms with mean 0 and variance 1 under them. The Y are
standard normal and correlated. The distribution of T under the reference is known in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from core.arrays import FloatArray, IntArray
from core.errors import BadInput
from core.jit import kernel
from core.simulation.block_ranges import BLOCK_SCENARIOS
from core.simulation.inputs import CopulaTerms, Regime, SimulationInputs
from core.simulation.philox import Purpose, uniforms
from core.simulation.three_component_v2 import normal

FACTOR_STREAM = 0
"""Regimes and factors; the companies of the bucket at position b have stream b + 1."""

SMALLEST_TAIL = 2.0**-64
"""Regimes beyond the reference may leave its range; a probability below this counts as this."""

NARROW = 1e-4
"""A uniform part narrower than this, in standard deviations of the normal part, counts as its midpoint."""


@dataclass(frozen=True, slots=True)
class Loadings:
    """Of a company's latent variable on the regime, sector and idiosyncratic factors; their squares sum to 1."""

    regime: float
    sector: float
    idiosyncratic: float


def loadings(terms: CopulaTerms) -> Loadings:
    """The shares of variance of one company, from those of the mean of a group of `share_group_size`.

    The idiosyncratic factors of n companies average out to variance idiosyncratic/n, so a' : b' : c' = a : b : n c.
    Raises BadInput for shares that leave no idiosyncratic factor, or a regime without a sector factor.
    """
    a, b, c, n = terms.regime_share, terms.sector_share, terms.idiosyncratic_share, terms.share_group_size
    if not (a >= 0.0 and b >= 0.0 and c > 0.0 and n >= 1.0):
        raise BadInput.of("variance_shares", (a, b, c, n), "regime, sector >= 0, own above 0 and a group of at least 1")
    if b == 0.0 < a:
        raise BadInput.of("variance_shares.sector", b, "must be above 0 where the regime has a share")
    total = a + b + n * c
    return Loadings(math.sqrt(a / total), math.sqrt(b / total), math.sqrt(n * c / total))


@dataclass(frozen=True, slots=True)
class ReferenceShock:
    """mean, deviation: of a shock under the reference regimes. The mixture is that of the standardized shock R.

    low, high, share: (n_regimes,), of each uniform part. Where shocks do not vary, deviation is 0 and R always 0.
    """

    mean: float
    deviation: float
    low: FloatArray
    high: FloatArray
    share: FloatArray

    def standardized(self, shock: FloatArray) -> FloatArray:
        return (shock - self.mean) / self.deviation if self.deviation > 0.0 else np.zeros_like(shock)


def reference_shock(regimes: tuple[Regime, ...]) -> ReferenceShock:
    share = np.array([regime.probability for regime in regimes])
    low = np.array([regime.shock_min for regime in regimes])
    high = np.array([regime.shock_max for regime in regimes])
    middle = (low + high) / 2.0
    mean = math.fsum(share * middle) / math.fsum(share)
    variance = math.fsum(share * ((high - low) ** 2 / 12.0 + (middle - mean) ** 2)) / math.fsum(share)
    deviation = math.sqrt(variance) if variance > 1e-24 else 0.0
    reference = ReferenceShock(mean, deviation, low, high, share / math.fsum(share))
    return ReferenceShock(mean, deviation, reference.standardized(low), reference.standardized(high), reference.share)


class CommonDistribution(NamedTuple):
    """T under the reference: regime * (a mixture of uniforms) + sector * (a standard normal). Arrays: (n_regimes,)."""

    low: FloatArray
    high: FloatArray
    share: FloatArray
    regime: float
    sector: float


def common_distribution(reference: ReferenceShock, loading: Loadings) -> CommonDistribution:
    return CommonDistribution(reference.low, reference.high, reference.share, loading.regime, loading.sector)


@kernel
def _integral_of_cdf(x: float) -> float:
    """Integral of Phi from minus infinity to x."""
    return x * normal.cdf(x) + normal.phi(x)


@kernel
def _tail(distribution: CommonDistribution, t: float, side: float) -> float:
    """P(side T <= t), accurate for t <= 0; side -1 reflects the distribution.

    A uniform convolved with a normal is a difference of integrals of Phi.
    """
    total = 0.0
    for i in range(distribution.low.size):
        width = distribution.regime * (distribution.high[i] - distribution.low[i]) / distribution.sector
        if width < NARROW:
            total += distribution.share[i] * normal.cdf(
                (t - side * distribution.regime * (distribution.low[i] + distribution.high[i]) / 2.0)
                / distribution.sector
            )
        else:
            lowest = distribution.low[i] if side > 0.0 else -distribution.high[i]
            x = (t - distribution.regime * lowest) / distribution.sector
            total += distribution.share[i] / width * (_integral_of_cdf(x) - _integral_of_cdf(x - width))
    return min(max(total, SMALLEST_TAIL), 1.0)


@kernel
def _scores(distribution: CommonDistribution, common: FloatArray) -> FloatArray:
    scores = np.empty_like(common)
    for i in range(common.size):
        t = common[i]
        scores[i] = (
            normal.quantile(_tail(distribution, t, 1.0))
            if t <= 0.0
            else -normal.quantile(_tail(distribution, -t, -1.0))
        )
    return scores


@kernel
def _densities(distribution: CommonDistribution, common: FloatArray) -> FloatArray:
    densities = np.zeros_like(common)
    for i in range(common.size):
        for j in range(distribution.low.size):
            from_low = (common[i] - distribution.regime * distribution.low[j]) / distribution.sector
            from_high = (common[i] - distribution.regime * distribution.high[j]) / distribution.sector
            if from_low - from_high < NARROW:
                densities[i] += distribution.share[j] * normal.phi((from_low + from_high) / 2.0) / distribution.sector
            else:
                rise = normal.cdf(from_low) - normal.cdf(from_high)
                densities[i] += distribution.share[j] * rise / ((from_low - from_high) * distribution.sector)
    return densities


def common_scores(distribution: CommonDistribution, common: FloatArray) -> FloatArray:
    """G, the normal score of T under the reference: (n,) -> (n,). Without common factors it is 0."""
    return _scores(distribution, common) if distribution.sector > 0.0 else np.zeros_like(common)


def common_density(distribution: CommonDistribution, common: FloatArray) -> FloatArray:
    """Density of T under the reference: (n,) -> (n,). There must be common factors."""
    return _densities(distribution, common)


def semidefinite_cholesky(rows: tuple[tuple[float, ...], ...]) -> FloatArray:
    """Lower triangular L with L L' = the correlation matrix; columns without variance of their own are 0.

    Written out, so that its bytes do not depend on a linear algebra library.
    """
    n = len(rows)
    lower = [[0.0] * n for _ in range(n)]
    for j in range(n):
        left = rows[j][j] - math.fsum(lower[j][k] ** 2 for k in range(j))
        # A matrix that is only semi-definite leaves nothing here, but for its entries' rounding to six decimals.
        if left < n * 1e-6:
            continue
        lower[j][j] = math.sqrt(left)
        for i in range(j + 1, n):
            lower[i][j] = (rows[i][j] - math.fsum(lower[i][k] * lower[j][k] for k in range(j))) / lower[j][j]
    return np.array(lower)


def sectors_of(inputs: SimulationInputs) -> tuple[str, ...]:
    """The distinct sectors of the buckets, sorted: the order of the factors Y."""
    return tuple(sorted({bucket.sector for bucket in inputs.buckets}))


@dataclass(frozen=True, slots=True)
class CommonFactors:
    """What the common factors follow. cholesky: of the sectors' correlations, None where they are independent."""

    reference: ReferenceShock
    loading: Loadings
    cholesky: FloatArray | None


def common_factors(inputs: SimulationInputs, terms: CopulaTerms) -> CommonFactors:
    cholesky = None if inputs.correlation is None else semidefinite_cholesky(inputs.correlation[1])
    return CommonFactors(reference_shock(terms.reference_regimes), loadings(terms), cholesky)


@dataclass(frozen=True, slots=True)
class ScenarioFactors:
    """The scenarios of one block.

    regime: (BLOCK_SCENARIOS,), position in the inputs. shock: likewise, as drawn; standardized: R.
    sector: (n_sectors, BLOCK_SCENARIOS), Y. common: likewise, T.
    """

    regime: IntArray
    shock: FloatArray
    standardized: FloatArray
    sector: FloatArray
    common: FloatArray


def draw_factors(inputs: SimulationInputs, factors: CommonFactors, purpose: Purpose, block: int) -> ScenarioFactors:
    """Stream FACTOR_STREAM of the block: a row of uniforms for the regime, one for its shock, one for each sector."""
    n_sectors = len(sectors_of(inputs))
    draws = uniforms(inputs.matrix_key, purpose, block, FACTOR_STREAM, (2 + n_sectors) * BLOCK_SCENARIOS)
    draws = draws.reshape(2 + n_sectors, BLOCK_SCENARIOS)
    cumulative = np.cumsum([regime.probability for regime in inputs.regimes])
    regime = np.minimum(np.searchsorted(cumulative, draws[0], side="right"), len(inputs.regimes) - 1)
    low = np.array([regime.shock_min for regime in inputs.regimes])
    high = np.array([regime.shock_max for regime in inputs.regimes])
    shock = low[regime] + draws[1] * (high - low)[regime]
    standardized = factors.reference.standardized(shock)
    sector = normal.quantiles(draws[2:].ravel()).reshape(n_sectors, BLOCK_SCENARIOS)
    if factors.cholesky is not None:
        sector = _mixed(factors.cholesky, sector)
    common = factors.loading.regime * standardized + factors.loading.sector * sector
    return ScenarioFactors(regime.astype(np.int64), shock, standardized, sector, common)


def _mixed(cholesky: FloatArray, independent: FloatArray) -> FloatArray:
    """cholesky @ independent, summed in a fixed order."""
    mixed = np.zeros_like(independent)
    for i, row in enumerate(cholesky):
        for j in range(i + 1):
            mixed[i] += row[j] * independent[j]
    return mixed
