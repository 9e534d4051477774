"""Whole matrices and fresh scenarios of `three_component_v2`, in one piece or in parts that are put together."""

from __future__ import annotations

import numpy as np

from core.arrays import IntArray
from core.matrix.scenario_matrix import MatrixPart, ScenarioMatrix, ScenarioState
from core.simulation.fresh import FreshScenarios
from core.simulation.inputs import SimulationInputs
from core.simulation.philox import Purpose
from core.simulation.single_precision import as_float32
from core.simulation.three_component_v2.blocks import MATRIX_NUMBERS, NUMBERS_OF, Window, draw_scenarios, windows
from core.simulation.three_component_v2.factors import Worlds
from core.simulation.three_component_v2.laws import copula_of, laws_of


def matrix_part(inputs: SimulationInputs, start: int, stop: int) -> MatrixPart:
    """Scenarios start to stop of the matrix. Needs memory for these alone.

    Raises BadInput for parameters that the model cannot have, or whose multiples exceed what float32 holds.
    """
    laws, companies = laws_of(inputs), matrix_companies(inputs)
    moic = np.empty((len(inputs.buckets), stop - start), dtype=np.float32)
    winners = np.zeros(len(inputs.buckets), dtype=np.int64)
    states: list[ScenarioState] = []
    for window in windows(start, stop):
        drawn = draw_scenarios(laws, MATRIX_NUMBERS, window, companies)
        moic[:, len(states) : len(states) + drawn.moic.shape[1]] = as_float32(drawn.moic)
        winners += drawn.winners
        states += _states(inputs, drawn.worlds, window)
    return MatrixPart(start, moic, winners, states)


def generate(inputs: SimulationInputs) -> ScenarioMatrix:
    """The matrix that belongs to `inputs.matrix_key`."""
    return assemble(inputs, [matrix_part(inputs, 0, inputs.scenario_count)])


def assemble(inputs: SimulationInputs, parts: list[MatrixPart]) -> ScenarioMatrix:
    """The whole matrix from its parts, in order and without gaps: the same bytes however it was divided."""
    n_companies = inputs.scenario_count * matrix_companies(inputs)
    winners = np.sum([part.winners for part in parts], axis=0)
    moic = parts[0].moic if len(parts) == 1 else np.concatenate([part.moic for part in parts], axis=1)
    assert [part.start for part in parts] == np.cumsum([0, *(len(part.states) for part in parts[:-1])]).tolist()
    return ScenarioMatrix(
        moic=moic,
        bucket_keys=tuple(bucket.key for bucket in inputs.buckets),
        win_probability=winners / n_companies,
        states=[state for part in parts for state in part.states],
    )


def fresh(
    inputs: SimulationInputs,
    scenario_count: int,
    companies: IntArray,
    start: int = 0,
    purpose: Purpose = Purpose.OUT_OF_SAMPLE,
) -> FreshScenarios:
    """Fresh scenarios from `start` on, with `companies[b]` independent companies in bucket b; none at all give 0.

    companies: (n_buckets,), >= 0.
    """
    assert len(companies) == len(inputs.buckets)
    assert companies.min() >= 0
    laws = laws_of(inputs)
    moic = np.empty((len(inputs.buckets), scenario_count))
    regimes = np.empty(scenario_count, dtype=np.int64)
    done = 0
    for window in windows(start, start + scenario_count):
        drawn = draw_scenarios(laws, NUMBERS_OF[purpose], window, companies)
        place = slice(done, done + drawn.moic.shape[1])
        moic[:, place], regimes[place] = drawn.moic, drawn.worlds.regime[window.scenarios]
        done = place.stop
    return FreshScenarios(moic, regimes)


def matrix_companies(inputs: SimulationInputs) -> IntArray:
    """How many companies each entry of the matrix stands for, by bucket."""
    return np.full(len(inputs.buckets), copula_of(inputs).companies_per_bucket, dtype=np.int64)


def _states(inputs: SimulationInputs, worlds: Worlds, window: Window) -> list[ScenarioState]:
    names = [regime.name for regime in inputs.regimes]
    sectors = worlds.sector[:, window.scenarios]
    regimes, shocks = worlds.regime[window.scenarios].tolist(), worlds.shock[window.scenarios].tolist()
    return [
        ScenarioState(names[regime], shock, tuple(factors), ())
        for regime, shock, factors in zip(regimes, shocks, sectors.T.tolist(), strict=True)
    ]
