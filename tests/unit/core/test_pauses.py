"""Between two questions whether to stop lies a bounded amount of work; a solve that was asked goes on where it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.arrays import BoolArray
from core.errors import Cancelled
from core.solver.branch_and_bound.backend import BranchAndBoundBackend
from core.solver.branch_and_bound.cuts.relaxation import (
    MULTIPLICATIONS_PER_UNIT,
    WORK_BETWEEN_PAUSES,
    MultiplicationMeter,
)
from core.solver.branch_and_bound.lp.dual_simplex import (
    OPTIMAL,
)
from core.solver.branch_and_bound.search.solve import Search
from core.solver.program import ChanceProgram, SolveControl
from tests.unit.core.oracles import random_program
from tests.unit.core.tree_programs import relaxation_of, tree_program


@pytest.mark.parametrize("stage", ["first linear program", "before the tree", "tree"])
def test_a_cancel_is_heard_within_a_bounded_amount_of_work(stage: str) -> None:
    """Between two questions whether to stop lies no more than one allowance and the pivots that end it."""
    program = tree_program()
    asked_at: list[int] = []
    stop_after = {"first linear program": 0, "before the tree": 40, "tree": 10**9}[stage]

    def interrupted() -> str | None:
        asked_at.append(search.meter.spent)
        return "cancelled" if len(asked_at) > stop_after or search.state.nodes >= 32 else None

    search = Search(program, SolveControl(interrupted=interrupted))
    with pytest.raises(Cancelled):
        search.run("branch-and-bound", None)
    assert (search.state.nodes >= 32) == (stage == "tree")
    between = np.diff([0, *asked_at, search.meter.spent])
    assert between.max() <= 2 * WORK_BETWEEN_PAUSES // MULTIPLICATIONS_PER_UNIT


def solved_asking(program: ChanceProgram, required: BoolArray) -> tuple[list[int], float]:
    """What had been spent each time the solve asked whether to stop, and its bound."""
    asked_at: list[int] = []
    meter = MultiplicationMeter(SolveControl(interrupted=lambda: asked_at.append(meter.spent)))
    relaxation = relaxation_of(program)
    relaxation.meter = meter
    assert relaxation.solve(required) == OPTIMAL
    return asked_at, relaxation.bound


def test_a_linear_program_that_used_its_allowance_asks_whether_to_stop_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.Generator(np.random.Philox(12))
    program = random_program(rng, 40, 300, cap=0.1)
    program = replace(program, payoffs=0.2 + rng.pareto(1.5, (300, 40)), cvar_limit=np.inf)
    required = program.payoffs.mean(axis=1) >= 1.2
    asked, bound = solved_asking(program, required)
    assert len(asked) == 1
    monkeypatch.setattr("core.solver.branch_and_bound.cuts.relaxation.WORK_BETWEEN_PAUSES", 1_000)
    asked, paused_bound = solved_asking(program, required)
    assert len(asked) > 4
    assert np.diff([0, *asked]).max() <= 4
    assert paused_bound == pytest.approx(bound, rel=1e-9)


def test_a_visit_that_used_its_allowance_asks_whether_to_stop_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    program = tree_program()
    asked = []
    control = SolveControl(interrupted=lambda: asked.append(None))
    whole = BranchAndBoundBackend().maximize(program, control)
    seldom = len(asked)
    monkeypatch.setattr("core.solver.branch_and_bound.search.exploration.WORK_BETWEEN_PAUSES", 1_000)
    paused = BranchAndBoundBackend().maximize(program, control)
    assert len(asked) - seldom > 1.5 * seldom
    assert paused.status == whole.status == "optimal"
    assert paused.objective == pytest.approx(whole.objective, rel=1e-4)
    assert paused.bound >= whole.objective * (1 - 1e-12)
