"""The scenario models, by version. A version's output never changes; what changes a byte is a new version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.arrays import IntArray
from core.errors import BadInput
from core.matrix import ScenarioMatrix
from core.simulation import three_component_v1, three_component_v1_fresh
from core.simulation.fresh import FreshScenarios
from core.simulation.inputs import SimulationInputs
from core.simulation.three_component_v2 import generation as three_component_v2


@dataclass(frozen=True, slots=True)
class ScenarioModel:
    """One version of the simulation.

    generate: the matrix of the inputs' key. fresh: (inputs, scenario_count, companies per bucket) -> other scenarios
    of the same law. matrix_companies: how many companies each entry of the matrix stands for, by bucket.
    """

    version: str
    generate: Callable[[SimulationInputs], ScenarioMatrix]
    fresh: Callable[[SimulationInputs, int, IntArray], FreshScenarios]
    matrix_companies: Callable[[SimulationInputs], IntArray]


MODELS = {
    model.version: model
    for model in (
        ScenarioModel(
            "three_component_v1",
            three_component_v1.generate,
            three_component_v1_fresh.fresh,
            three_component_v1.matrix_companies,
        ),
        ScenarioModel(
            "three_component_v2",
            three_component_v2.generate,
            three_component_v2.fresh,
            three_component_v2.matrix_companies,
        ),
    )
}


def model_of(version: str) -> ScenarioModel:
    """Raises BadInput for a version that does not exist."""
    if version not in MODELS:
        raise BadInput.of("sim_model_version", version, f"must be one of {', '.join(sorted(MODELS))}")
    return MODELS[version]
