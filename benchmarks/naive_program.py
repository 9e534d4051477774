"""The baseline: the chance-constrained program as a textbook writes it, given to HiGHS as it is.

maximize    objective @ x
subject to  the polytope
            M_s = offset_s + payoffs_s @ x          the multiple of scenario s
            y_s >= 1 - M_s,  y_s <= z_s             its shortfall, and whether it may have one (z binary)
            sum z <= max_losses
            u_s >= y_s - tau,  tau + sum u / ((1 - c) S) <= cvar_limit
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.solver.feasibility import is_feasible, loss_count, multiples
from core.solver.highs_model import HighsModel
from core.solver.program import ChanceProgram
from core.solver.rows import RowBlocks


@dataclass(frozen=True, slots=True)
class NaiveOutcome:
    """seconds: at the time limit if `finished` is False. objective, strict_losses: None when no point was found.

    feasible: whether the point stands up to the check that every answer of ours has to pass.
    """

    seconds: float
    finished: bool
    objective: float | None
    bound: float
    strict_losses: int | None
    feasible: bool

    @property
    def gap(self) -> float | None:
        """(bound - objective) / objective."""
        return None if self.objective is None else max(0.0, self.bound - self.objective) / abs(self.objective)


def solve_naively(
    program: ChanceProgram,
    *,
    relative_gap: float,
    time_limit_s: float,
    clock: Callable[[], float] = time.perf_counter,
) -> NaiveOutcome:
    """With HiGHS's own presolve and heuristics, one thread and the same gap. clock: seconds."""
    model = _textbook_model(program, relative_gap)
    began = clock()
    # HiGHS asks at checkpoints of its own, so that the limit may be overstepped by a little.
    model.interrupt_when(lambda _progress: clock() - began > time_limit_s)
    outcome = model.run()
    seconds = clock() - began
    finished = outcome == "optimal"
    if not model.has_point:
        return NaiveOutcome(seconds, finished, None, model.bound, None, False)
    x = model.x[: len(program.objective)]
    losses = loss_count(multiples(program, x))
    return NaiveOutcome(seconds, finished, model.objective, model.bound, losses, is_feasible(program, x))


def _textbook_model(program: ChanceProgram, relative_gap: float) -> HighsModel:
    s, n = program.payoffs.shape
    m, y, z, u = n, n + s, n + 2 * s, n + 3 * s
    tau, width = n + 4 * s, n + 4 * s + 1
    ones = np.ones(s)
    blocks = RowBlocks()
    blocks.add(program.polytope.row_lower, program.polytope.row_upper, {0: program.polytope.rows})
    blocks.add(program.payoff_offset, program.payoff_offset, {0: -program.payoffs, m: ones})
    blocks.add(1.0, np.inf, {y: ones, m: ones})
    blocks.add(-np.inf, 0.0, {y: ones, z: -ones})
    blocks.add(-np.inf, program.max_losses, {z: np.ones((1, s))})
    blocks.add(0.0, np.inf, {u: ones, y: -ones, tau: np.ones((s, 1))})
    tail = (1.0 - program.cvar_confidence) * s
    blocks.add(-np.inf, program.cvar_limit, {u: np.full((1, s), 1.0 / tail), tau: np.ones((1, 1))})
    upper = np.full(width, np.inf)
    upper[:n] = program.polytope.upper
    upper[z:u] = 1.0
    integer: Any = np.zeros(width, dtype=bool)
    integer[z:u] = True
    return HighsModel(
        np.concatenate([program.objective, np.zeros(width - n)]),
        np.concatenate([program.polytope.lower, np.zeros(width - n)]),
        upper,
        blocks.assemble(),
        integer=integer,
        options={"mip_rel_gap": relative_gap},
    )
