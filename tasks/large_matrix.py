"""A matrix of whatever size, as its key asks for it: a large one part by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from core.matrix.key import simulation_inputs
from core.matrix.reduction.matrix import reduce_as_asked
from core.matrix.scenario_matrix import MatrixPart, ScenarioMatrix
from core.simulation.models import model_of
from core.simulation.parts import parts_of
from db.settings import Settings
from tasks.parts import Progress, in_parts


def simulate(key_document: Mapping[str, Any], settings: Settings, progress: Progress) -> ScenarioMatrix:
    """In this thread where it is small or its model's numbers are one stream, else by mapped tasks: the same bytes.

    Called within a flow run. Raises BadInput for parameters that the model cannot have.
    """
    inputs = simulation_inputs(key_document)
    model = model_of(key_document["key"]["sim_model_version"])
    parts = parts_of(inputs.scenario_count, int(model.matrix_companies(inputs).sum()))
    if model.in_parts is None or len(parts) == 1:
        matrix = model.generate(inputs)
    else:
        made = in_parts(matrix_part, parts, {"key_document": key_document}, settings, progress)
        matrix = model.in_parts.assemble(inputs, made)
    return reduce_as_asked(matrix, key_document)


@task(name="matrix-part", task_run_name="scenarios {start} to {stop}", cache_policy=NO_CACHE, persist_result=False)
def matrix_part(key_document: Mapping[str, Any], start: int, stop: int) -> MatrixPart:
    in_parts_of_model = model_of(key_document["key"]["sim_model_version"]).in_parts
    assert in_parts_of_model is not None
    return in_parts_of_model.part(simulation_inputs(key_document), start, stop)
