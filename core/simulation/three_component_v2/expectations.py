"""Expected multiples and winner chances of `three_component_v2`, by quadrature over the common factor and the rank.

A company of latent variable Z = T + its idiosyncratic factor exits with a chance that T decides, and returns what its
rank among the exits says; T has the density of the regimes asked for, the map from Z to ranks is that of the reference
regimes:

    E[multiple] = integral of f_T(t) P_fail(t) dt * E[return | failure]
                + integral of g(z) h(z) dz,    h(z) = integral of f_T(t) (1 - P_fail(t)) phi((z - t) / i) / i dt

where i is the loading of the idiosyncratic factor, and g(z) the expected return of an exit at rank F(z) over the number
of its graduations. A return rises with z, so the winners lie above one z for each number of graduations, and their
chance is an integral over t alone. The sizes of checks are independent of multiples, so that a bucket's weighted mean
has the expectation of one company.

Recycling acts on the mean of a bucket's companies and has no such form: what it adds is drawn, the multiple before it
serving as control variate.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from core.arrays import FloatArray
from core.jit import kernel
from core.matrix.scenario_set import Expectations
from core.simulation.expectations import by_distribution, distribution_key
from core.simulation.inputs import BucketParams, SimulationInputs
from core.simulation.three_component_v2 import normal
from core.simulation.three_component_v2.blocks import OUT_OF_SAMPLE_STREAMS, draw_scenarios, windows
from core.simulation.three_component_v2.company import CompanyModel, exit_return, failure_return
from core.simulation.three_component_v2.exit_map import POINTS, REACH, Z_STEP, rank_score
from core.simulation.three_component_v2.factors import (
    CommonDistribution,
    CommonFactors,
    common_density,
    common_distribution,
    common_scores,
)
from core.simulation.three_component_v2.generation import matrix_companies
from core.simulation.three_component_v2.path import tilted_failure
from core.simulation.three_component_v2.prepared_model import prepare_model

T_NODES = 129
"""Of the trapezoid rule in t, which converges exponentially: the density is analytic and vanishes at both ends."""

NODES_PER_STEP = 4
"""Gauss-Legendre nodes within each step of the tabulated map, which is linear there."""

RECYCLING_SCENARIOS = 40_000
"""Drawn for what recycling adds: its standard error stays below 0.01x."""

BISECTIONS = 100
"""Halvings of [-REACH, REACH]: down to neighboring floats."""


def expectations(inputs: SimulationInputs) -> Expectations:
    """Of every bucket. Raises BadInput for parameters that the model cannot have."""
    fine, coarse = _Quadrature.of(inputs, NODES_PER_STEP), _Quadrature.of(inputs, NODES_PER_STEP // 2)
    companies = prepare_model(inputs).companies

    def evaluate(position: int, distribution: BucketParams) -> tuple[float, float, float, float]:
        mean, win = fine.of_company(companies[position])
        mean_error = abs(mean - coarse.of_company(companies[position])[0])
        if _recycles(inputs):
            added, error = _added_by_recycling(inputs, distribution)
            mean, mean_error = mean + added, math.hypot(mean_error, error)
        return mean, win, mean_error, 0.0

    return by_distribution(inputs.buckets, evaluate)


class _Quadrature:
    """node, weight: of T under the regimes asked for, weights summing to 1; score: the reference's normal score there.

    z, z_weight: of the latent variable. density: (z, T nodes), of Z given T.
    """

    def __init__(self, factors: CommonFactors, asked: CommonDistribution, nodes_per_step: int) -> None:
        self.idiosyncratic = factors.loading.idiosyncratic
        self.node, self.weight = _t_nodes(asked)
        self.score = common_scores(common_distribution(factors.reference, factors.loading), self.node)
        abscissa, share = np.polynomial.legendre.leggauss(nodes_per_step)
        left = -REACH + Z_STEP * np.arange(POINTS - 1)
        self.z = (left[:, None] + Z_STEP * (abscissa + 1.0) / 2.0).ravel()
        self.z_weight = np.tile(share * Z_STEP / 2.0, POINTS - 1)
        self.density = _density_given(self.z, self.node, self.idiosyncratic)

    @classmethod
    def of(cls, inputs: SimulationInputs, nodes_per_step: int) -> _Quadrature:
        factors = prepare_model(inputs).factors
        reference, loading = factors.reference, factors.loading
        regimes = [regime for regime in inputs.regimes if regime.probability > 0.0]
        share = np.array([regime.probability for regime in regimes])
        low = reference.standardized(np.array([regime.shock_min for regime in regimes]))
        high = reference.standardized(np.array([regime.shock_max for regime in regimes]))
        asked = CommonDistribution(low, high, share / math.fsum(share), loading.regime, loading.sector)
        return cls(factors, asked, nodes_per_step)

    def of_company(self, company: CompanyModel) -> tuple[float, float]:
        """Expected multiple and chance to win."""
        return _expectations(company, self.node, self.weight, self.score, self.z, self.z_weight, self.density)


def _t_nodes(distribution: CommonDistribution) -> tuple[FloatArray, FloatArray]:
    if distribution.sector == 0.0:
        return np.zeros(1), np.ones(1)
    reach = REACH * distribution.sector
    low, high = (
        distribution.regime * distribution.low.min() - reach,
        distribution.regime * distribution.high.max() + reach,
    )
    node = low + (high - low) * (np.arange(T_NODES) / (T_NODES - 1))
    density = common_density(distribution, node)
    return node, density / math.fsum(density)


@kernel
def _density_given(z: FloatArray, node: FloatArray, idiosyncratic: float) -> FloatArray:
    density = np.empty((z.size, node.size))
    for i in range(z.size):
        for k in range(node.size):
            density[i, k] = normal.phi((z[i] - node[k]) / idiosyncratic) / idiosyncratic
    return density


@kernel
def _expectations(  # noqa: PLR0917 - a kernel takes its arguments by position
    company: CompanyModel,
    node: FloatArray,
    weight: FloatArray,
    score: FloatArray,
    z: FloatArray,
    z_weight: FloatArray,
    density: FloatArray,
) -> tuple[float, float]:
    """Sums in a fixed order. node, weight, score: (n_t,); z, z_weight: (n_z,); density: (n_z, n_t)."""
    exits = np.empty_like(weight)
    failed = 0.0
    for k in range(weight.size):
        chance = tilted_failure(company.failure_score, score[k], company.correlation)
        exits[k] = weight[k] * (1.0 - chance)
        failed += weight[k] * chance
    mean, win, before = 0.0, 0.0, 0.0
    for j in range(company.failure_graduations.size):
        share = _share(company.failure_graduations, j, before)
        before += share
        returned = failure_return(company, j)
        mean += failed * share * returned
        if returned >= company.winner_multiple:
            win += failed * share
    n_stages = company.exit_graduations.size
    shares = np.empty(n_stages)
    before = 0.0
    for j in range(n_stages):
        shares[j] = _share(company.exit_graduations, j, before)
        before += shares[j]
        if shares[j] > 0.0:
            win += shares[j] * _exit_chance_above(company, j, node, exits)
    for i in range(z.size):
        mass = 0.0
        for k in range(exits.size):
            mass += density[i, k] * exits[k]
        mean += z_weight[i] * mass * _mean_exit(company, shares, z[i])
    # Beyond the tabulated map the rank is constant.
    below, above = 0.0, 0.0
    for k in range(exits.size):
        below += exits[k] * normal.cdf((-REACH - node[k]) / company.idiosyncratic_loading)
        above += exits[k] * normal.cdf((node[k] - REACH) / company.idiosyncratic_loading)
    mean += below * _mean_exit(company, shares, -REACH) + above * _mean_exit(company, shares, REACH)
    return mean, win


@kernel
def _share(cumulative: FloatArray, j: int, before: float) -> float:
    """Chance of j graduations; the last takes what rounding leaves."""
    return 1.0 - before if j == cumulative.size - 1 else cumulative[j] - before


@kernel
def _mean_exit(company: CompanyModel, shares: FloatArray, z: float) -> float:
    """Expected return of an exit with latent variable z. shares: (n_stages,), of each number of graduations."""
    score = rank_score(company.rank_scores, z)
    mean = 0.0
    for j in range(shares.size):
        if shares[j] > 0.0:
            mean += shares[j] * exit_return(company, j, score)
    return mean


@kernel
def _exit_chance_above(company: CompanyModel, graduated: int, node: FloatArray, exits: FloatArray) -> float:
    """P(exit, and its return reaches the winner multiple). exits: (n_t,), P(T = node, exit)."""
    low, high = -REACH, REACH
    if exit_return(company, graduated, rank_score(company.rank_scores, high)) < company.winner_multiple:
        return 0.0
    chance = 0.0
    if exit_return(company, graduated, rank_score(company.rank_scores, low)) >= company.winner_multiple:
        for k in range(exits.size):
            chance += exits[k]
        return chance
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if exit_return(company, graduated, rank_score(company.rank_scores, middle)) >= company.winner_multiple:
            high = middle
        else:
            low = middle
    for k in range(exits.size):
        chance += exits[k] * normal.cdf((node[k] - high) / company.idiosyncratic_loading)
    return chance


def _recycles(inputs: SimulationInputs) -> bool:
    terms = inputs.recycling
    return terms.enabled and terms.max_recycle_deals > 0 and terms.utilization > 0.0


def _added_by_recycling(inputs: SimulationInputs, distribution: BucketParams) -> tuple[float, float]:
    """What recycling adds to the expected multiple of a bucket, and its standard error."""
    alone = replace(
        inputs, matrix_key=distribution_key(inputs, distribution), buckets=(distribution,), correlation=None
    )
    without = replace(alone, recycling=replace(inputs.recycling, enabled=False))
    with_it, without_it, companies = prepare_model(alone), prepare_model(without), matrix_companies(alone)
    added = np.concatenate(
        [
            draw_scenarios(with_it, OUT_OF_SAMPLE_STREAMS, window, companies).moic[0]
            - draw_scenarios(without_it, OUT_OF_SAMPLE_STREAMS, window, companies).moic[0]
            for window in windows(0, RECYCLING_SCENARIOS)
        ]
    )
    return math.fsum(added) / added.size, float(np.std(added, ddof=1)) / math.sqrt(added.size)
