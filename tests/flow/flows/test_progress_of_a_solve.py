"""What those who follow a session are told while its solver works."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import Engine

from core.solver.program import SolveProgress
from db.session_rows import Fence
from db.settings import Settings
from tasks.heartbeat import Heartbeat
from tasks.optimize import _Watch


@pytest.mark.parametrize(("step", "told"), [("primary solve", (2.0, 2.5)), ("conflict", (None, None))])
def test_only_what_the_primary_solve_finds_is_reported_as_a_multiple(
    engine: Engine, step: str, told: tuple[float | None, float | None]
) -> None:
    heartbeat = Heartbeat(engine, Fence(uuid4(), 0, uuid4()), Settings(home="/nowhere"))
    watch = _Watch(heartbeat, time_limit_s=60)
    watch.begin(step)
    watch.progress(SolveProgress(objective=2.0, bound=2.5, nodes=3, work=4))
    assert heartbeat._progress == {
        "stage": "optimize",
        "step": step,
        "objective": told[0],
        "bound": told[1],
        "nodes": 3,
        "work": 4,
    }
