"""Scenarios that are not stored, drawn by all of this machine's processors at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from core.arrays import IntArray
from core.errors import Cancelled
from core.simulation.block_ranges import BLOCK_SCENARIOS
from core.simulation.inputs import SimulationInputs
from core.simulation.models import model_of
from core.simulation.out_of_sample import OutOfSampleScenarios
from core.simulation.philox import Purpose

BLOCKS_AT_ONCE = 2


def draw(
    version: str,
    inputs: SimulationInputs,
    purpose: Purpose,
    scenarios: range,
    companies: IntArray,
    *,
    cancelled: Callable[[], bool] = lambda: False,
) -> OutOfSampleScenarios:
    """Of model `version`, with `companies[b]` companies in bucket b. scenarios: from the first of a block on.

    The numbers do not depend on how many processors share the work. Raises Cancelled, BadInput.
    """
    draw_part = model_of(version).out_of_sample
    moic = np.empty((len(inputs.buckets), len(scenarios)))
    regimes = np.empty(len(scenarios), dtype=np.int64)
    step = BLOCKS_AT_ONCE * BLOCK_SCENARIOS

    def draw_from(first: int) -> None:
        if cancelled():
            raise Cancelled("the simulation was told to stop")
        count = min(step, len(scenarios) - first)
        part = draw_part(inputs, count, companies, scenarios.start + first, purpose)
        moic[:, first : first + count], regimes[first : first + count] = part.moic, part.regimes

    with ThreadPoolExecutor(max(1, os.cpu_count() or 1), thread_name_prefix="scenarios") as pool:
        for _ in pool.map(draw_from, range(0, len(scenarios), step)):
            pass
    return OutOfSampleScenarios(moic, regimes)
