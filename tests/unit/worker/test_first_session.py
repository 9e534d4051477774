"""What the process that runs are forked from has loaded, seen from a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

LOADED = """
import gc, sys, threading
import deployments.worker.first_session as first
from numba.core.dispatcher import Dispatcher

def loaded():
    return {(str(d), str(s)) for d in gc.get_objects() if isinstance(d, Dispatcher) for s in d.signatures}

before = loaded()
assert len(before) > 20, before
assert threading.enumerate() == [threading.main_thread()]
assert not {"polars", "psycopg", "prefect"} & set(sys.modules)
"""

ANOTHER = """
from dataclasses import replace
from core.request import parse_request
from core.solver.backends import make_backend
from core.solver.program import SolveControl
from core.warmup import small_program
from tests.small_request import SMALL

program = small_program()
for caps in range(0, 60, 6):
    make_backend().maximize(replace(program, max_losses=caps), SolveControl())
normalized = first.normalize(parse_request(SMALL), first.reference_calibration())
first.model_of(normalized.config.sim_model_version).generate(first.simulation_inputs(normalized.key_document))
assert loaded() == before, loaded() - before
"""


def test_another_session_finds_every_kernel_loaded_and_no_fork_finds_a_thread() -> None:
    subprocess.run([sys.executable, "-c", LOADED + ANOTHER], check=True)
