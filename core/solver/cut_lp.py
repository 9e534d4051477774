"""The linear program over x alone: scenario rows and CVaR cuts are added only when a solution violates them."""

from __future__ import annotations

import numpy as np

from core.arrays import BoolArray, FloatArray
from core.solver.feasibility import cvar_room, loss_tail, multiples
from core.solver.highs_model import HighsModel
from core.solver.program import LOSS_RESOLUTION, ChanceProgram
from core.solver.rows import dense_rows
from core.solver.sums import combination, dot
from core.solver.work import WorkMeter

MARGIN = 1e-6
"""Answers are sought this far above 1: solvers stop a hair short of a row, and rescaling must not turn into losses."""

FEASIBILITY = 1e-9
ROWS_PER_ROUND = 15
CUT_TOLERANCE = 2e-8


def cvar_cut(
    program: ChanceProgram, x: FloatArray, portfolio: FloatArray, tolerance: float = CUT_TOLERANCE
) -> tuple[FloatArray, float] | None:
    """(row, floor) of a valid `row @ x >= floor` that x breaks, None if the CVaR of x is within its limit.

    The tail that x has now must get better. Exact where it touches: any other tail of the same size weighs less.
    """
    if not np.isfinite(program.cvar_limit):
        return None
    tail = loss_tail(portfolio, program.cvar_confidence)
    if tail.value <= cvar_room(program, x) + tolerance:
        return None
    row = combination(tail.weights, program.payoffs[tail.scenarios]) + program.cvar_slack
    return row, dot(tail.weights, 1.0 - program.payoff_offset[tail.scenarios]) - program.cvar_limit


class CutLp:
    """maximize c @ x over the polytope, within the CVaR limit and at 1 + margin in every scenario that is required."""

    def __init__(self, program: ChanceProgram, meter: WorkMeter, *, margin: float = MARGIN) -> None:
        self.program = program
        self.meter = meter
        self.margin = margin
        self.has_cvar_cuts = False
        self.row_of_scenario: dict[int, int] = {}
        polytope = program.polytope
        self._row_scale = np.maximum(1.0, np.abs(program.payoffs).max(axis=1))
        self.model = HighsModel(
            program.objective,
            polytope.lower,
            polytope.upper,
            dense_rows(polytope.rows, polytope.row_lower, polytope.row_upper),
            feasibility=FEASIBILITY,
        )

    def maximize(self, required: BoolArray) -> FloatArray | None:
        """The optimum with `required` scenarios (S,) held at 1 + margin; None when there is none.

        Raises LimitReached when the meter runs out.
        """
        for scenario, row in self.row_of_scenario.items():
            self.model.set_row_bounds(row, self._floor(scenario) if required[scenario] else -np.inf, np.inf)
        x = self.run()
        while x is not None:
            portfolio = multiples(self.program, x)
            added = self._add_scenario_rows(portfolio, required)
            if not (self.add_cvar_cut(x, portfolio) or added):
                return x
            before, x = x, self.run()
            if x is not None and np.array_equal(x, before):
                return x  # what x still breaks is below the solver's resolution
        return None

    def run(self) -> FloatArray | None:
        """One LP solve with the rows there are."""
        return self.meter.solve(self.model)

    def add_cvar_cut(self, x: FloatArray, portfolio: FloatArray) -> bool:
        """Cut x off if its CVaR is too high."""
        cut = cvar_cut(self.program, x, portfolio)
        if cut is None:
            return False
        self.model.add_row(*cut)
        self.has_cvar_cuts = True
        return True

    def _floor(self, scenario: int) -> float:
        return (1.0 + self.margin - float(self.program.payoff_offset[scenario])) / float(self._row_scale[scenario])

    def _add_scenario_rows(self, portfolio: FloatArray, required: BoolArray) -> bool:
        violated = np.flatnonzero(required & (portfolio < 1.0 + 0.5 * self.margin - LOSS_RESOLUTION))
        worst_first = violated[np.argsort(portfolio[violated], kind="stable")].tolist()
        missing = [scenario for scenario in worst_first if scenario not in self.row_of_scenario]
        for scenario in missing[:ROWS_PER_ROUND]:
            row = self.program.payoffs[scenario] / self._row_scale[scenario]
            self.row_of_scenario[scenario] = self.model.add_row(row, self._floor(scenario))
        return bool(missing)
