"""Scenarios out of sample of `three_component_v1`: the distribution of its matrix, drawn with arrays.

A company's multiple depends on the scenario's shocks and on whether it exits, not on the path it takes there, so that
two uniforms are a company: does it exit, and with what multiple. Scenarios come in blocks of a fixed size, and the
draws of a bucket's i-th company are a stream of their own: neither the number of scenarios nor the number of companies,
of this bucket or another, changes a number that is drawn in any case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray, IntArray
from core.calibration.snapshot import StageTransitions
from core.simulation.block_ranges import BLOCK_SCENARIOS
from core.simulation.inputs import BucketParams, SimulationInputs
from core.simulation.out_of_sample import OutOfSampleScenarios
from core.simulation.philox import Purpose, uniforms
from core.simulation.three_component_v1 import (
    IDIOSYNCRATIC_WEIGHT,
    LARGEST_UNIFORM,
    REGIME_IMPACT,
    SHOCK_SWING,
    SYSTEMATIC_WEIGHT,
    power_law_alpha,
)
from core.stages import Stage

FACTOR_STREAM = 0
"""Regimes and shocks; the companies of the bucket at position b have the streams from (b + 1) << 32 on."""


def exit_probability(entry: Stage, transitions: Mapping[Stage, StageTransitions], max_rounds: int) -> float:
    """P(a company exits within `max_rounds`), exact: the distribution over stages, round by round."""
    at_stage = {entry: 1.0}
    exited = 0.0
    for _ in range(max_rounds):
        after: dict[Stage, float] = {}
        for stage, probability in at_stage.items():
            rates = transitions[stage]
            exited += probability * rates.exit_rate
            staying = max(0.0, 1.0 - rates.exit_rate - rates.failure_rate - rates.graduate_rate)
            after[stage] = after.get(stage, 0.0) + probability * staying
            if stage.next is None:
                exited += probability * rates.graduate_rate
            else:
                after[stage.next] = after.get(stage.next, 0.0) + probability * rates.graduate_rate
        at_stage = after
    return exited


def out_of_sample(
    inputs: SimulationInputs,
    scenario_count: int,
    companies: IntArray,
    start: int = 0,
    purpose: Purpose = Purpose.OUT_OF_SAMPLE,
) -> OutOfSampleScenarios:
    """Scenarios out of sample from `start` on, with `companies[b]` independent companies in bucket b, 0 where none.

    companies: (n_buckets,), >= 0; those of a bucket share its shocks, the idiosyncratic one included. start: the first
    of a block.
    """
    assert len(companies) == len(inputs.buckets)
    assert companies.min() >= 0
    assert start % BLOCK_SCENARIOS == 0
    moic = np.zeros((len(inputs.buckets), scenario_count))
    regimes = np.zeros(scenario_count, dtype=np.int64)
    exit_draws = [exit_probability(bucket.stage, inputs.transitions, inputs.max_rounds) for bucket in inputs.buckets]
    for first in range(0, scenario_count, BLOCK_SCENARIOS):
        block, count = (start + first) // BLOCK_SCENARIOS, min(BLOCK_SCENARIOS, scenario_count - first)
        here = slice(first, first + count)
        regime, regime_shock, total_shock = _draw_shocks(inputs, purpose, block)
        regimes[here] = regime[:count]
        for position, bucket in enumerate(inputs.buckets):
            if companies[position] == 0:
                continue
            model = _company_model(bucket, exit_draws[position], regime_shock, total_shock[position])
            first_stream = (position + 1) << 32
            total = np.zeros(BLOCK_SCENARIOS)
            for company in range(companies[position]):
                total += _draw_company(inputs, model, purpose, block, first_stream + company)
            moic[position, here] = total[:count] / companies[position]
    return OutOfSampleScenarios(moic, regimes)


@dataclass(frozen=True, slots=True)
class _CompanyModel:
    """A company of one bucket in each scenario of a block: its chance to exit, its multiple's Pareto distribution."""

    exit_chance: float
    exponent: float
    smallest: FloatArray

    def exit_multiples(self, u: FloatArray) -> FloatArray:
        """By inversion; u: (BLOCK_SCENARIOS,), in (0, 1)."""
        return self.smallest / (1.0 - np.minimum(u, LARGEST_UNIFORM)) ** self.exponent


def _company_model(
    bucket: BucketParams, exit_chance: float, regime_shock: FloatArray, total_shock: FloatArray
) -> _CompanyModel:
    # A regime moves median and p90 by one factor, so that the exponent is the bucket's own in every scenario.
    exponent = 1.0 / power_law_alpha(bucket.median_moic, bucket.p90_moic)
    median = bucket.median_moic * (1.0 + regime_shock * REGIME_IMPACT)
    smallest = median / 2.0**exponent * np.maximum(0.0, 1.0 + total_shock * SHOCK_SWING)
    return _CompanyModel(exit_chance, exponent, smallest)


def _draw_shocks(inputs: SimulationInputs, purpose: Purpose, block: int) -> tuple[IntArray, FloatArray, FloatArray]:
    """Regime and regime shock, (BLOCK_SCENARIOS,), and each bucket's other shocks, (n_buckets, BLOCK_SCENARIOS)."""
    sectors = sorted({bucket.sector for bucket in inputs.buckets})
    rows = 2 + len(sectors) + len(inputs.buckets)
    u = uniforms(inputs.matrix_key, purpose, block, FACTOR_STREAM, rows * BLOCK_SCENARIOS)
    u = u.reshape(rows, BLOCK_SCENARIOS)
    cumulative = np.cumsum([regime.probability for regime in inputs.regimes])
    regime = np.minimum(np.searchsorted(cumulative, u[0], side="right"), len(inputs.regimes) - 1)
    low = np.array([regime.shock_min for regime in inputs.regimes])
    high = np.array([regime.shock_max for regime in inputs.regimes])
    regime_shock = low[regime] + u[1] * (high - low)[regime]
    shocks = 2.0 * u[2:] - 1.0
    systematic = shocks[[sectors.index(bucket.sector) for bucket in inputs.buckets]]
    idiosyncratic = shocks[len(sectors) :]
    return regime, regime_shock, SYSTEMATIC_WEIGHT * systematic + IDIOSYNCRATIC_WEIGHT * idiosyncratic


def _draw_company(
    inputs: SimulationInputs, model: _CompanyModel, purpose: Purpose, block: int, stream: int
) -> FloatArray:
    """One company in every scenario of a block, recycling included. Shape (BLOCK_SCENARIOS,)."""
    terms = inputs.recycling
    new_deals = terms.max_recycle_deals if terms.enabled else 0
    draws = uniforms(inputs.matrix_key, purpose, block, stream, (2 + new_deals) * BLOCK_SCENARIOS)
    exit_draws, multiple_draws, *recycled = draws.reshape(2 + new_deals, BLOCK_SCENARIOS)
    moic = np.where(exit_draws < model.exit_chance, model.exit_multiples(multiple_draws), 0.0)
    if not terms.enabled:
        return moic
    total = moic.copy()
    for deal, u in enumerate(recycled, start=1):
        total += model.exit_multiples(u) * (moic * terms.utilization / deal)
    return np.where(moic > 1.0, total * terms.cash_multiple, moic)
