"""`three_component_v1`: the scalar reference model, one company per bucket and scenario.

A scenario is a macro regime with its shock, a systematic shock per sector and an idiosyncratic shock per bucket. In it,
every bucket's company walks from financing round to financing round; if it exits, its multiple is a Pareto draw whose
median the shocks move. The order of the draws from the one stream is part of the version: what changes a byte of the
matrix is another version.

The model reads of a bucket its stage, sector and the median and 90th percentile of its multiple; the other parameters
reach it only through the key, which seeds the stream.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from core.arrays import FloatArray, IntArray
from core.calibration.snapshot import StageTransitions
from core.errors import BadInput
from core.matrix.scenario_matrix import ScenarioMatrix, ScenarioState
from core.simulation.inputs import BucketParams, Recycling, Regime, SimulationInputs
from core.simulation.single_precision import as_float32
from core.simulation.xorshift import Xorshift32, seed_of
from core.stages import Stage

REGIME_IMPACT = 0.3
"""A regime shock of 1 moves the median multiple by this share."""

SYSTEMATIC_WEIGHT, IDIOSYNCRATIC_WEIGHT, SHOCK_SWING = 0.5, 0.3, 0.5
"""multiple * (1 + SHOCK_SWING * (SYSTEMATIC_WEIGHT * systematic + IDIOSYNCRATIC_WEIGHT * idiosyncratic))"""

SMALLEST_ALPHA, LARGEST_ALPHA = 0.5, 5.0

LARGEST_UNIFORM = 1.0 - 2.0**-33
"""A uniform of exactly 1 would be an infinite multiple."""


def power_law_alpha(median: float, p90: float) -> float:
    """Tail index of the Pareto distribution with this median and 90th percentile, clamped to [0.5, 5].

    P(X >= x) = (x_min / x)^alpha, 1/2 at the median and 1/10 at p90, so 5 = (p90 / median)^alpha.
    Raises BadInput unless 0 < median < p90.
    """
    if median <= 0.0:
        raise BadInput.of("median_moic", median, "must be above 0")
    if p90 <= median:
        raise BadInput.of("p90_moic", p90, f"must exceed the median ({median:g})")
    alpha = math.log(5.0) / math.log(p90 / median)
    return max(SMALLEST_ALPHA, min(LARGEST_ALPHA, alpha))


def draw_pareto(median: float, p90: float, rng: Xorshift32) -> float:
    """One multiple by inversion: x_min / (1 - u)^(1 / alpha), where x_min = median / 2^(1 / alpha)."""
    exponent = 1.0 / power_law_alpha(median, p90)
    u = min(rng.next(), LARGEST_UNIFORM)
    return median / math.pow(2.0, exponent) / math.pow(1.0 - u, exponent)


def draw_exit_stage(
    entry: Stage, transitions: Mapping[Stage, StageTransitions], max_rounds: int, rng: Xorshift32
) -> Stage | None:
    """The stage a company exits from, or None if it fails; whoever outlives `max_rounds` has failed.

    One uniform a round decides between exit, failure, graduation and staying, in that order.
    """
    stage = entry
    for _ in range(max_rounds):
        rates = transitions[stage]
        roll = rng.next()
        if roll < rates.exit_rate:
            return stage
        if roll < rates.exit_rate + rates.failure_rate:
            return None
        if roll < rates.exit_rate + rates.failure_rate + rates.graduate_rate:
            following = stage.next
            if following is None:
                return stage
            stage = following
    return None


class Shocks(NamedTuple):
    """The shocks to one bucket in one scenario, each in [-1, 1]."""

    regime: float
    systematic: float
    idiosyncratic: float


def shocks_of(state: ScenarioState, position: int) -> Shocks:
    return Shocks(state.regime_shock, state.systematic[position], state.idiosyncratic[position])


def draw_exit_moic(bucket: BucketParams, shocks: Shocks, rng: Xorshift32) -> float:
    """The multiple of a company that exits. The regime moves median and p90 alike, the other shocks scale the draw."""
    median = bucket.median_moic * (1.0 + shocks.regime * REGIME_IMPACT)
    p90 = bucket.p90_moic * (median / bucket.median_moic)
    total_shock = SYSTEMATIC_WEIGHT * shocks.systematic + IDIOSYNCRATIC_WEIGHT * shocks.idiosyncratic
    return max(0.0, draw_pareto(median, p90, rng) * (1.0 + total_shock * SHOCK_SWING))


def draw_regime(regimes: tuple[Regime, ...], rng: Xorshift32) -> Regime:
    """The first regime whose cumulative probability exceeds one uniform; the last if rounding leaves none."""
    u = rng.next()
    cumulative = 0.0
    for regime in regimes:
        cumulative += regime.probability
        if u < cumulative:
            return regime
    return regimes[-1]


def draw_state(inputs: SimulationInputs, rng: Xorshift32) -> ScenarioState:
    """The state of one scenario. A sector's buckets share its systematic shock; sectors are drawn in sorted order."""
    regime = draw_regime(inputs.regimes, rng)
    regime_shock = rng.uniform(regime.shock_min, regime.shock_max)
    by_sector = {sector: rng.uniform(-1.0, 1.0) for sector in sorted({bucket.sector for bucket in inputs.buckets})}
    return ScenarioState(
        macro_regime=regime.name,
        regime_shock=regime_shock,
        systematic=tuple(by_sector[bucket.sector] for bucket in inputs.buckets),
        idiosyncratic=tuple(rng.uniform(-1.0, 1.0) for _ in inputs.buckets),
    )


def draw_moic(inputs: SimulationInputs, bucket: BucketParams, shocks: Shocks, rng: Xorshift32) -> float:
    """The multiple of one company: 0 if it fails."""
    if draw_exit_stage(bucket.stage, inputs.transitions, inputs.max_rounds, rng) is None:
        return 0.0
    return draw_exit_moic(bucket, shocks, rng)


def recycle(moic: float, bucket: BucketParams, shocks: Shocks, terms: Recycling, rng: Xorshift32) -> float:
    """A winner's multiple after its proceeds are invested again, in exits of the same bucket and scenario.

    The i-th new deal takes utilization * moic / i of capital while the proceeds are kept as well: the rule creates
    capital from nothing. It is kept as it is because this version is the reference.
    """
    if moic <= 1.0:
        return moic
    total = moic
    for deal in range(1, terms.max_recycle_deals + 1):
        total += draw_exit_moic(bucket, shocks, rng) * (moic * terms.utilization / deal)
    return total * terms.cash_multiple


def simulate(inputs: SimulationInputs, rng: Xorshift32) -> tuple[FloatArray, list[ScenarioState]]:
    """Multiples, float64, shape (n_buckets, n_scenarios), and the states.

    Scenario by scenario, and bucket by bucket within it; recycling comes last, bucket by bucket over all scenarios.
    """
    moic = np.zeros((len(inputs.buckets), inputs.scenario_count))
    states = []
    for scenario in range(inputs.scenario_count):
        state = draw_state(inputs, rng)
        states.append(state)
        for position, bucket in enumerate(inputs.buckets):
            moic[position, scenario] = draw_moic(inputs, bucket, shocks_of(state, position), rng)
    if inputs.recycling.enabled:
        for position, bucket in enumerate(inputs.buckets):
            for scenario, state in enumerate(states):
                base = float(moic[position, scenario])
                moic[position, scenario] = recycle(base, bucket, shocks_of(state, position), inputs.recycling, rng)
    return moic, states


def generate(inputs: SimulationInputs) -> ScenarioMatrix:
    """The matrix that belongs to `inputs.matrix_key`.

    Raises BadInput when a multiple exceeds what float32 holds.
    """
    moic, states = simulate(inputs, Xorshift32(seed_of(inputs.matrix_key)))
    single = as_float32(moic)
    # Compared in float64: in float32 the threshold itself would be rounded.
    winners = np.count_nonzero(single.astype(np.float64) >= inputs.winner_multiple, axis=1)
    return ScenarioMatrix(
        moic=single,
        bucket_keys=tuple(bucket.key for bucket in inputs.buckets),
        win_probability=winners / inputs.scenario_count,
        states=states,
    )


def matrix_companies(inputs: SimulationInputs) -> IntArray:
    """How many companies each entry of the matrix stands for, by bucket: one."""
    return np.ones(len(inputs.buckets), dtype=np.int64)
