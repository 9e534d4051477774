"""A matrix of whatever size, as its key asks for it: a large one in block ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from core import pipeline
from core.matrix.key import simulation_inputs
from core.matrix.scenario_matrix import MatrixBlockRange, ScenarioMatrix
from core.simulation.block_ranges import BlockRange
from core.simulation.inputs import SimulationInputs
from core.simulation.models import ByBlockRange, model_of
from db.settings import Settings
from tasks.block_ranges import Progress, in_block_ranges


def simulate(key_document: Mapping[str, Any], settings: Settings, progress: Progress) -> ScenarioMatrix:
    """In this thread where it is small or its model's numbers are one stream, else by mapped tasks: the same bytes.

    Called within a flow run. Raises BadInput for parameters that the model cannot have.
    """

    def mapped(_model: ByBlockRange, _inputs: SimulationInputs, ranges: Sequence[BlockRange]) -> list[MatrixBlockRange]:
        return in_block_ranges(matrix_block_range, ranges, {"key_document": key_document}, settings, progress)

    return pipeline.simulate(key_document, map_blocks=mapped)


@task(
    name="matrix-block-range", task_run_name="scenarios {start} to {stop}", cache_policy=NO_CACHE, persist_result=False
)
def matrix_block_range(key_document: Mapping[str, Any], start: int, stop: int) -> MatrixBlockRange:
    model_by_block_range = model_of(key_document["key"]["sim_model_version"]).by_block_range
    assert model_by_block_range is not None
    return model_by_block_range.simulate(simulation_inputs(key_document), start, stop)
