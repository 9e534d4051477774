"""The scenario models, by version. A version's output never changes; what changes a byte is a new version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from core.arrays import IntArray
from core.errors import BadInput
from core.matrix.scenario_matrix import MatrixBlockRange, ScenarioMatrix
from core.matrix.scenario_set import Expectations
from core.simulation import three_component_v1, three_component_v1_expectations, three_component_v1_out_of_sample
from core.simulation.inputs import SimulationInputs
from core.simulation.out_of_sample import OutOfSampleScenarios
from core.simulation.philox import Purpose
from core.simulation.three_component_v2 import expectations as three_component_v2_expectations
from core.simulation.three_component_v2 import generation as three_component_v2


class DrawOutOfSample(Protocol):
    """Scenarios out of sample from `start` on, the first of a block, with so many companies in each bucket.

    purpose: whose numbers they are drawn from; scenarios of two purposes share none.
    """

    def __call__(
        self,
        inputs: SimulationInputs,
        scenario_count: int,
        companies: IntArray,
        start: int = 0,
        purpose: Purpose = Purpose.OUT_OF_SAMPLE,
    ) -> OutOfSampleScenarios: ...


@dataclass(frozen=True, slots=True)
class ByBlockRange:
    """How a matrix is made in block ranges: scenarios start to stop alone, and all ranges, in order, put together."""

    simulate: Callable[[SimulationInputs, int, int], MatrixBlockRange]
    assemble: Callable[[SimulationInputs, list[MatrixBlockRange]], ScenarioMatrix]


@dataclass(frozen=True, slots=True)
class ScenarioModel:
    """One version of the simulation.

    generate: the matrix of the inputs' key. out_of_sample: other scenarios of the same distribution. matrix_companies:
    how many companies each entry of the matrix stands for, by bucket. expectations: of every bucket, by its
    distribution. by_block_range: None where the matrix is one stream of numbers.
    """

    version: str
    generate: Callable[[SimulationInputs], ScenarioMatrix]
    out_of_sample: DrawOutOfSample
    matrix_companies: Callable[[SimulationInputs], IntArray]
    expectations: Callable[[SimulationInputs], Expectations]
    by_block_range: ByBlockRange | None


MODELS = {
    model.version: model
    for model in (
        ScenarioModel(
            "three_component_v1",
            three_component_v1.generate,
            three_component_v1_out_of_sample.out_of_sample,
            three_component_v1.matrix_companies,
            three_component_v1_expectations.expectations,
            None,
        ),
        ScenarioModel(
            "three_component_v2",
            three_component_v2.generate,
            three_component_v2.out_of_sample,
            three_component_v2.matrix_companies,
            three_component_v2_expectations.expectations,
            ByBlockRange(three_component_v2.simulate_block_range, three_component_v2.assemble),
        ),
    )
}


def model_of(version: str) -> ScenarioModel:
    """Raises BadInput for a version that does not exist."""
    if version not in MODELS:
        raise BadInput.of("sim_model_version", version, f"must be one of {', '.join(sorted(MODELS))}")
    return MODELS[version]
