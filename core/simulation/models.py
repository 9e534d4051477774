"""The scenario models, by version. A version's output never changes; what changes a byte is a new version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from core.arrays import IntArray
from core.errors import BadInput
from core.matrix.scenario_matrix import MatrixPart, ScenarioMatrix
from core.matrix.scenario_set import Expectations
from core.simulation import three_component_v1, three_component_v1_expectations, three_component_v1_fresh
from core.simulation.fresh import FreshScenarios
from core.simulation.inputs import SimulationInputs
from core.simulation.philox import Purpose
from core.simulation.three_component_v2 import expectations as three_component_v2_expectations
from core.simulation.three_component_v2 import generation as three_component_v2


class Fresh(Protocol):
    """Fresh scenarios from `start` on, the first of a block, with so many companies in each bucket.

    purpose: whose numbers they are drawn from; scenarios of two purposes share none.
    """

    def __call__(
        self,
        inputs: SimulationInputs,
        scenario_count: int,
        companies: IntArray,
        start: int = 0,
        purpose: Purpose = Purpose.OUT_OF_SAMPLE,
    ) -> FreshScenarios: ...


@dataclass(frozen=True, slots=True)
class InParts:
    """How a matrix is made in parts: scenarios start to stop alone, and all parts, in order, put together."""

    part: Callable[[SimulationInputs, int, int], MatrixPart]
    assemble: Callable[[SimulationInputs, list[MatrixPart]], ScenarioMatrix]


@dataclass(frozen=True, slots=True)
class ScenarioModel:
    """One version of the simulation.

    generate: the matrix of the inputs' key. fresh: other scenarios of the same law. matrix_companies: how many
    companies each entry of the matrix stands for, by bucket. expectations: of every bucket, by its distribution.
    in_parts: None where the matrix is one stream of numbers.
    """

    version: str
    generate: Callable[[SimulationInputs], ScenarioMatrix]
    fresh: Fresh
    matrix_companies: Callable[[SimulationInputs], IntArray]
    expectations: Callable[[SimulationInputs], Expectations]
    in_parts: InParts | None


MODELS = {
    model.version: model
    for model in (
        ScenarioModel(
            "three_component_v1",
            three_component_v1.generate,
            three_component_v1_fresh.fresh,
            three_component_v1.matrix_companies,
            three_component_v1_expectations.expectations,
            None,
        ),
        ScenarioModel(
            "three_component_v2",
            three_component_v2.generate,
            three_component_v2.fresh,
            three_component_v2.matrix_companies,
            three_component_v2_expectations.expectations,
            InParts(three_component_v2.matrix_part, three_component_v2.assemble),
        ),
    )
}


def model_of(version: str) -> ScenarioModel:
    """Raises BadInput for a version that does not exist."""
    if version not in MODELS:
        raise BadInput.of("sim_model_version", version, f"must be one of {', '.join(sorted(MODELS))}")
    return MODELS[version]
