"""A HiGHS of somebody else's in the same process does not stop ours."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import highspy, numpy as np
from core.solver.highs_model import HighsModel
from core.solver.rows import dense_rows
theirs = highspy.Highs()
theirs.setOptionValue("output_flag", False)
theirs.setOptionValue("threads", 2)
theirs.addVar(0.0, 1.0)
theirs.run()
rows = dense_rows(np.ones((1, 2)), np.array([1.0]), np.array([1.0]))
model = HighsModel(np.array([1.0, 2.0]), np.zeros(2), np.ones(2), rows, feasibility=1e-9)
print(model.run(), [abs(value) for value in model.x.tolist()])
"""


def test_another_number_of_threads_in_the_process_is_borne() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "optimal [0.0, 1.0]"
