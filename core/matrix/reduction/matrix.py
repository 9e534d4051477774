"""A matrix of chosen scenarios, where the key document asks for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.matrix.reduction.selection import select_scenarios
from core.matrix.scenario_matrix import ScenarioMatrix


def reduce_as_asked(matrix: ScenarioMatrix, key_document: Mapping[str, Any]) -> ScenarioMatrix:
    """The scenarios that stand for all of `matrix`, if its key counts fewer than were generated; else the matrix."""
    kept = int(key_document["key"]["scenario_count"])
    return matrix if kept == matrix.n_scenarios else reduce_matrix(matrix, kept)


def reduce_matrix(matrix: ScenarioMatrix, count: int) -> ScenarioMatrix:
    """`count` of the matrix's scenarios, in their order. Chances to win stay those of all scenarios.

    Raises BadInput for a count that cannot be.
    """
    chosen = select_scenarios(matrix.moic, count)
    return ScenarioMatrix(
        moic=np.ascontiguousarray(matrix.moic[:, chosen]),
        bucket_keys=matrix.bucket_keys,
        win_probability=matrix.win_probability,
        states=[matrix.states[position] for position in chosen],
    )
