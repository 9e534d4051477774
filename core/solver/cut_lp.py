"""The linear program over x alone: scenario rows and CVaR cuts are added only when a solution violates them."""

from __future__ import annotations

import numpy as np

from core.arrays import BoolArray, FloatArray
from core.solver.highs_model import HighsModel
from core.solver.program import ChanceProgram
from core.solver.rows import dense_rows
from core.solver.strict_check import cvar_room, loss_tail, multiples
from core.solver.work import LimitReached, WorkMeter

ROWS_PER_ROUND = 15
CUT_TOLERANCE = 2e-8


class CutLp:
    """maximise c @ x over the polytope, CVaR, and `multiple_s >= 1 + margin` for every required scenario.

    margin: 1e-6 where answers are sought (solvers stop a hair short of a row), -1e-9 where bounds are proved.
    """

    def __init__(self, program: ChanceProgram, meter: WorkMeter, *, margin: float, feasibility: float = 1e-9) -> None:
        self.program = program
        self.meter = meter
        self.margin = margin
        self.feasibility = feasibility
        self.cvar_cuts = 0
        self.row_of_scenario: dict[int, int] = {}
        polytope = program.polytope
        self._row_scale = np.maximum(1.0, np.abs(program.payoffs).max(axis=1))
        self.model = HighsModel(
            program.objective,
            polytope.lower,
            polytope.upper,
            dense_rows(polytope.rows, polytope.row_lower, polytope.row_upper),
            feasibility=feasibility,
        )

    def maximise(self, required: BoolArray, objective: FloatArray | None = None) -> FloatArray | None:
        """The optimum with `required` scenarios (S,) held above 1; None when there is none.

        Raises LimitReached when the meter runs out.
        """
        if objective is not None:
            self.model.set_objective(objective)
        for scenario, row in self.row_of_scenario.items():
            self.model.set_row_bounds(row, self._floor(scenario) if required[scenario] else -np.inf, np.inf)
        while True:
            x = self.run()
            if x is None:
                return None
            portfolio = multiples(self.program, x)
            added = self._add_scenario_rows(portfolio, required)
            if not (self.add_cvar_cut(x, portfolio) or added):
                return x

    def run(self) -> FloatArray | None:
        """One LP solve with the rows there are."""
        outcome = self.model.run(iteration_limit=max(1, self.meter.remaining))
        self.meter.charge(self.model.iterations)
        if outcome == "limit":
            raise LimitReached
        return self.model.x if outcome == "optimal" else None

    def add_cvar_cut(self, x: FloatArray, portfolio: FloatArray) -> bool:
        """Cut x off if its CVaR is too high: the tail it has now must get better. Exact where it touches."""
        if not np.isfinite(self.program.cvar_limit):
            return False
        tail = loss_tail(portfolio, self.program.cvar_confidence)
        if tail.value <= cvar_room(self.program, x) + CUT_TOLERANCE:
            return False
        row = tail.weights @ self.program.payoffs[tail.scenarios] + self.program.cvar_slack
        floor = tail.weights @ (1.0 - self.program.payoff_offset[tail.scenarios]) - self.program.cvar_limit
        self.model.add_row(row, float(floor))
        self.cvar_cuts += 1
        return True

    def _floor(self, scenario: int) -> float:
        scale = float(self._row_scale[scenario])
        return (1.0 + self.margin - float(self.program.payoff_offset[scenario])) / scale

    def _add_scenario_rows(self, portfolio: FloatArray, required: BoolArray) -> bool:
        slack = 0.5 * self.margin if self.margin > 0 else self.margin - 1e-8
        violated = np.flatnonzero(required & (portfolio < 1.0 + slack))
        worst_first = violated[np.argsort(portfolio[violated], kind="stable")].tolist()
        fresh = [scenario for scenario in worst_first if scenario not in self.row_of_scenario]
        for scenario in fresh[:ROWS_PER_ROUND]:
            row = self.program.payoffs[scenario] / self._row_scale[scenario]
            self.row_of_scenario[scenario] = self.model.add_row(row, self._floor(scenario))
        return bool(fresh)
