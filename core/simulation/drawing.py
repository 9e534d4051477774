"""Scenarios that are not stored, drawn by all of this machine's processors at once and remembered for a while."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np

from core.arrays import IntArray
from core.errors import Cancelled
from core.simulation.block_ranges import BLOCK_SCENARIOS
from core.simulation.inputs import SimulationInputs
from core.simulation.models import model_of
from core.simulation.out_of_sample import OutOfSampleScenarios
from core.simulation.philox import Purpose

BLOCKS_AT_ONCE = 2

REMEMBERED_BYTES = 256 * 2**20
"""Of drawn scenarios: enough for the sets of one decision, so that a validation or a frontier draws none again."""

_remembered: OrderedDict[bytes, OutOfSampleScenarios] = OrderedDict()
_lock = Lock()


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
    draw_range = model_of(version).out_of_sample
    moic = np.empty((len(inputs.buckets), len(scenarios)))
    regimes = np.empty(len(scenarios), dtype=np.int64)
    step = BLOCKS_AT_ONCE * BLOCK_SCENARIOS

    def draw_from(first: int) -> None:
        if cancelled():
            raise Cancelled("the simulation was told to stop")
        count = min(step, len(scenarios) - first)
        drawn = draw_range(inputs, count, companies, scenarios.start + first, purpose)
        moic[:, first : first + count], regimes[first : first + count] = drawn.moic, drawn.regimes

    with ThreadPoolExecutor(max(1, os.cpu_count() or 1), thread_name_prefix="scenarios") as pool:
        for _ in pool.map(draw_from, range(0, len(scenarios), step)):
            pass
    return OutOfSampleScenarios(moic, regimes)


def remembered_draw(
    version: str,
    inputs: SimulationInputs,
    purpose: Purpose,
    scenarios: range,
    companies: IntArray,
    *,
    cancelled: Callable[[], bool] = lambda: False,
) -> OutOfSampleScenarios:
    """As `draw`; arrays that cannot be written. Whoever asks while they are drawn waits for them."""
    known_by = hashlib.sha256(f"{version} {inputs} {purpose} {scenarios} {companies.tolist()}".encode()).digest()
    with _lock:
        found = _remembered.get(known_by)
        if found is None:
            found = draw(version, inputs, purpose, scenarios, companies, cancelled=cancelled)
            found.moic.flags.writeable = found.regimes.flags.writeable = False
            _remembered[known_by] = found
            while sum(one.moic.nbytes for one in _remembered.values()) > REMEMBERED_BYTES:
                _remembered.popitem(last=False)
        else:
            _remembered.move_to_end(known_by)
    return found
