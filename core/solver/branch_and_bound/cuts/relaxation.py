"""A linear program with its cuts, as the search uses it: solved to the end, grown when full, its work charged."""

from __future__ import annotations

import numpy as np

from core.arrays import BoolArray, FloatArray
from core.jit import kernel
from core.solver.branch_and_bound.cuts.scenarios import Scenarios
from core.solver.branch_and_bound.cuts.separation import relax
from core.solver.branch_and_bound.lp.dual_simplex import FULL, PAUSED, UNPROVEN, certified_objective
from core.solver.branch_and_bound.lp.tableau import (
    BASE_ROW,
    ROWS,
    SCENARIO_ROW,
    WORK,
    Lp,
    activity_range,
    add_row,
    make_lp,
    refresh_values,
    with_capacity,
)
from core.solver.program import LOSS_RESOLUTION, LOSS_THRESHOLD, Polytope, SolveControl
from core.solver.work import WorkMeter

MULTIPLICATIONS_PER_UNIT = 500_000
"""Multiplications in one unit of work: about a tenth of a millisecond, as one simplex iteration of HiGHS on a small
program takes with everything around it."""

NODE_MULTIPLICATIONS = 300_000
"""What a node, or an answer's linear program, costs besides its multiplications: on small programs most of the time."""

WORK_BETWEEN_PAUSES = 40_000_000
"""Work after which a kernel returns, to be continued: some hundredths of a second."""

MOST_PAUSES = 2_000
SPARE_ROWS = 120


class MultiplicationMeter(WorkMeter):
    """Counts multiplications, in units of `MULTIPLICATIONS_PER_UNIT`."""

    def __init__(self, control: SolveControl) -> None:
        super().__init__(control)
        self._multiplications = 0

    def charge(self, lp: Lp) -> None:
        """What lp has counted. Raises what `check` raises."""
        self._multiplications += int(lp.counts[WORK])
        lp.counts[WORK] = 0
        units, self._multiplications = divmod(self._multiplications, MULTIPLICATIONS_PER_UNIT)
        self.spent += units
        self.check()


@kernel
def set_scenario_floors(lp: Lp, scenarios: Scenarios, required: BoolArray, level: float) -> None:
    """Hold the scenario rows that there are at `level` where it is required, and relax the others."""
    n = len(lp.cost)
    for i in range(lp.counts[ROWS]):
        if lp.kind[i] == SCENARIO_ROW:
            s = lp.tag[i]
            if required[s]:
                lp.lower[n + i] = (level - scenarios.offset[s]) / scenarios.scale[s]
            else:
                least, _ = activity_range(lp, lp.rows[i])
                lp.lower[n + i] = min(least, (level - scenarios.offset[s]) / scenarios.scale[s]) - 1.0
    refresh_values(lp)


class Relaxation:
    """minimize cost @ x over the polytope and the cuts; x: (n,) and multiples: (S,) of the last solution."""

    def __init__(self, cost: FloatArray, polytope: Polytope, scenarios: Scenarios, meter: MultiplicationMeter) -> None:
        self.scenarios = scenarios
        self.meter = meter
        n = len(cost)
        rows = [i for i in range(len(polytope.rows)) if _bounds_anything(polytope, i)]
        self.lp = make_lp(cost, polytope.lower, polytope.upper, len(rows) + 2 * n + SPARE_ROWS)
        self.n_base = 0
        for i in rows:
            self._add_base_row(polytope.rows[i], float(polytope.row_lower[i]), float(polytope.row_upper[i]))
        self.x = np.zeros(n)
        self.multiples = np.zeros(len(scenarios.offset))
        self._none = np.zeros(len(scenarios.offset))

    def _add_base_row(self, row: FloatArray, low: float, high: float) -> None:
        """Before any cut is added: low <= row @ x <= high in every program to come."""
        scale = max(float(np.abs(row).max()), 1e-300)
        add_row(self.lp, np.ascontiguousarray(row / scale), low / scale, high / scale, BASE_ROW, -1)
        self.n_base += 1

    def grow(self) -> None:
        """Room for twice as many rows."""
        self.lp = with_capacity(self.lp, 2 * len(self.lp.kind))

    def snapshot(self) -> Lp:
        return with_capacity(self.lp, len(self.lp.kind))

    def solve(
        self,
        required: BoolArray,
        *,
        gain: FloatArray | None = None,
        budget: float = np.inf,
        level: float = LOSS_THRESHOLD,
        tolerance: float = LOSS_RESOLUTION,
        cutoff: float = np.inf,
        patience: int = 12,
    ) -> int:
        """The verdict of `relax`, PAUSED and FULL dealt with. Raises LimitReached, Cancelled."""
        for _ in range(MOST_PAUSES):
            verdict: int = relax(
                self.lp,
                self.scenarios,
                required,
                self._none if gain is None else gain,
                budget,
                level,
                tolerance,
                cutoff,
                patience,
                WORK_BETWEEN_PAUSES,
                self.x,
                self.multiples,
            )
            self.meter.charge(self.lp)
            if verdict == FULL:
                self.grow()
            elif verdict != PAUSED:
                return verdict
        return UNPROVEN

    @property
    def bound(self) -> float:
        """A certified lower bound of the cost."""
        value: float = certified_objective(self.lp)
        return value


def _bounds_anything(polytope: Polytope, i: int) -> bool:
    return bool(np.isfinite(polytope.row_lower[i]) or np.isfinite(polytope.row_upper[i]))
