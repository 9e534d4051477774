"""The textbook program given to SCIP: the same rows and binaries that HiGHS gets in `naive_program`.

Needs the extra `benchmark` (pyscipopt).
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.naive_program import NaiveOutcome
from core.solver.feasibility import is_feasible, loss_count, multiples
from core.solver.program import ChanceProgram


def solve_by_scip(program: ChanceProgram, *, relative_gap: float, time_limit_s: float) -> NaiveOutcome:
    """SCIP with its own settings, one thread, the same gap; seconds of processor time, building the model left out."""
    model, x = _textbook_model(program)
    model.setParam("limits/gap", relative_gap)
    model.setParam("limits/time", time_limit_s)
    model.setParam("timing/clocktype", 1)  # processor time
    began = time.process_time()
    model.optimize()
    seconds = time.process_time() - began
    status = model.getStatus()
    finished = status in ("optimal", "gaplimit", "infeasible")
    bound = float(model.getDualbound())
    if model.getNSols() == 0:
        return NaiveOutcome(seconds, finished, None, bound, None, False)
    solution = model.getBestSol()
    point = np.array([model.getSolVal(solution, v) for v in x])
    losses = loss_count(multiples(program, point))
    objective = float(program.objective @ point)
    return NaiveOutcome(seconds, finished, objective, bound, losses, is_feasible(program, point))


def _textbook_model(program: ChanceProgram) -> tuple[Any, list[Any]]:
    from pyscipopt import Model, quicksum  # noqa: PLC0415 - an extra that only this needs

    model = Model()
    model.hideOutput()
    s, n = program.payoffs.shape
    polytope = program.polytope
    x = [model.addVar(lb=float(polytope.lower[j]), ub=float(polytope.upper[j])) for j in range(n)]
    multiple = [model.addVar(lb=None) for _ in range(s)]
    shortfall = [model.addVar(lb=0.0) for _ in range(s)]
    loses = [model.addVar(vtype="B") for _ in range(s)]
    excess = [model.addVar(lb=0.0) for _ in range(s)]
    tau = model.addVar(lb=None)

    def combined(row: np.ndarray) -> Any:
        return quicksum(float(row[j]) * x[j] for j in np.flatnonzero(row).tolist())

    for row, low, high in zip(polytope.rows, polytope.row_lower, polytope.row_upper, strict=True):
        if np.isfinite(low):
            model.addCons(combined(row) >= float(low))
        if np.isfinite(high):
            model.addCons(combined(row) <= float(high))
    for k in range(s):
        model.addCons(multiple[k] - combined(program.payoffs[k]) == float(program.payoff_offset[k]))
        model.addCons(shortfall[k] + multiple[k] >= 1.0)
        model.addCons(shortfall[k] <= loses[k])
        model.addCons(excess[k] - shortfall[k] + tau >= 0.0)
    model.addCons(quicksum(loses) <= program.max_losses)
    tail = (1.0 - program.cvar_confidence) * s
    model.addCons(tau + quicksum(excess) * (1.0 / tail) <= program.cvar_limit)
    model.setObjective(combined(program.objective), "maximize")
    return model, x
