"""Whole matrices, in one piece or in block ranges, and scenarios out of sample of `three_component_v2`."""

from __future__ import annotations

import numpy as np

from core.arrays import IntArray
from core.matrix.scenario_matrix import MatrixBlockRange, ScenarioMatrix, ScenarioState
from core.simulation.inputs import SimulationInputs
from core.simulation.out_of_sample import OutOfSampleScenarios
from core.simulation.philox import Purpose
from core.simulation.single_precision import as_float32
from core.simulation.three_component_v2.blocks import (
    MATRIX_STREAMS,
    STREAMS_OF,
    Window,
    draw_scenarios,
    windows,
)
from core.simulation.three_component_v2.factors import ScenarioFactors
from core.simulation.three_component_v2.prepared_model import copula_of, prepare_model


def simulate_block_range(inputs: SimulationInputs, start: int, stop: int) -> MatrixBlockRange:
    """Scenarios start to stop of the matrix. Needs memory for these alone.

    Raises BadInput for parameters that the model cannot have, or whose multiples exceed what float32 holds.
    """
    prepared, companies = prepare_model(inputs), matrix_companies(inputs)
    moic = np.empty((len(inputs.buckets), stop - start), dtype=np.float32)
    winners = np.zeros(len(inputs.buckets), dtype=np.int64)
    states: list[ScenarioState] = []
    for window in windows(start, stop):
        drawn = draw_scenarios(prepared, MATRIX_STREAMS, window, companies)
        moic[:, len(states) : len(states) + drawn.moic.shape[1]] = as_float32(drawn.moic)
        winners += drawn.winners
        states += _states(inputs, drawn.factors, window)
    return MatrixBlockRange(start, moic, winners, states)


def generate(inputs: SimulationInputs) -> ScenarioMatrix:
    """The matrix that belongs to `inputs.matrix_key`."""
    return assemble(inputs, [simulate_block_range(inputs, 0, inputs.scenario_count)])


def assemble(inputs: SimulationInputs, ranges: list[MatrixBlockRange]) -> ScenarioMatrix:
    """The whole matrix from its block ranges, in order and without gaps: the same bytes however it was divided."""
    n_companies = inputs.scenario_count * matrix_companies(inputs)
    winners = np.sum([each.winners for each in ranges], axis=0)
    moic = ranges[0].moic if len(ranges) == 1 else np.concatenate([each.moic for each in ranges], axis=1)
    assert [each.start for each in ranges] == np.cumsum([0, *(len(each.states) for each in ranges[:-1])]).tolist()
    return ScenarioMatrix(
        moic=moic,
        bucket_keys=tuple(bucket.key for bucket in inputs.buckets),
        win_probability=winners / n_companies,
        states=[state for each in ranges for state in each.states],
    )


def out_of_sample(
    inputs: SimulationInputs,
    scenario_count: int,
    companies: IntArray,
    start: int = 0,
    purpose: Purpose = Purpose.OUT_OF_SAMPLE,
) -> OutOfSampleScenarios:
    """Scenarios out of sample from `start` on, with `companies[b]` independent companies in bucket b, 0 where none.

    companies: (n_buckets,), >= 0.
    """
    assert len(companies) == len(inputs.buckets)
    assert companies.min() >= 0
    prepared = prepare_model(inputs)
    moic = np.empty((len(inputs.buckets), scenario_count))
    regimes = np.empty(scenario_count, dtype=np.int64)
    done = 0
    for window in windows(start, start + scenario_count):
        drawn = draw_scenarios(prepared, STREAMS_OF[purpose], window, companies)
        place = slice(done, done + drawn.moic.shape[1])
        moic[:, place], regimes[place] = drawn.moic, drawn.factors.regime[window.scenarios]
        done = place.stop
    return OutOfSampleScenarios(moic, regimes)


def matrix_companies(inputs: SimulationInputs) -> IntArray:
    """How many companies each entry of the matrix stands for, by bucket."""
    return np.full(len(inputs.buckets), copula_of(inputs).companies_per_bucket, dtype=np.int64)


def _states(inputs: SimulationInputs, factors: ScenarioFactors, window: Window) -> list[ScenarioState]:
    names = [regime.name for regime in inputs.regimes]
    sectors = factors.sector[:, window.scenarios]
    regimes, shocks = factors.regime[window.scenarios].tolist(), factors.shock[window.scenarios].tolist()
    return [
        ScenarioState(names[regime], shock, tuple(factors), ())
        for regime, shock, factors in zip(regimes, shocks, sectors.T.tolist(), strict=True)
    ]
