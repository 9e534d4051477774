"""The third solve: of the portfolios as good and as close to equal weights that lose in the same scenarios, one.

    minimize    sum_b (w_b - 1/B)^2
    subject to  the tie-break's constraints, sum_b |w_b - 1/B| within 1e-6 of the tie-break's,
                no loss in any scenario in which the tie-break's portfolio does not lose

The least sum of absolute differences leaves corners: an excess may sit in one bucket or be spread over ten. With the
losing scenarios fixed the portfolios are a convex set, on which a sum of squares has a single minimum. Rows that are
too many to list (scenarios, tails of the CVaR, signs of the deviation) are added as an answer breaks them.
"""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray
from core.errors import SolverFailed
from core.portfolio.tie_break import deviation
from core.solver.cut_lp import MARGIN, cvar_cut
from core.solver.feasibility import cvar_room, is_feasible, loss_tail, multiples
from core.solver.least_distance import nearest_to_origin
from core.solver.program import LOSS_THRESHOLD, ChanceProgram
from core.solver.sums import dot, products

DEVIATION_ROOM = 1e-6
"""By how much the sum of absolute differences may exceed the tie-break's."""

BROKEN = 1e-9
"""A row counts as broken when more is missing."""

MOST_ROUNDS = 400
ROWS_PER_ROUND = 20


def least_squares(locked: ChanceProgram, equal: FloatArray, size: FloatArray, found: FloatArray) -> FloatArray | None:
    """The columns' weights, (n,); None where rounding leaves no answer that the program's strict check accepts.

    locked: the program with its objective's floor. equal: (n,), equal weights in its columns; size: (n,), the number
    of buckets of a column. found: (n,), the tie-break's answer, strictly feasible.
    """
    try:
        x = _Cuts(locked, equal, size, found).run()
    except SolverFailed:
        return None
    if x is None:
        return None
    x = np.clip(x, locked.polytope.lower, locked.polytope.upper)
    return x if is_feasible(locked, x) and deviation(x, equal) <= deviation(found, equal) + 2 * DEVIATION_ROOM else None


class _Cuts:
    """Columns are scaled to y = (x - equal) / sqrt(size), in which the sum of squares over buckets is |y|^2."""

    def __init__(self, locked: ChanceProgram, equal: FloatArray, size: FloatArray, found: FloatArray) -> None:
        self.program, self.equal, self.found = locked, equal, found
        self.root = np.sqrt(size)
        self.most_deviation = deviation(found, equal) + DEVIATION_ROOM
        portfolio = multiples(locked, found)
        self.kept = np.flatnonzero(portfolio >= LOSS_THRESHOLD)
        # The tie-break's portfolio stays within: what it holds nearer to its bound is held no farther.
        self.level = np.minimum(1.0 + MARGIN, portfolio[self.kept])
        self.cvar_room = max(cvar_room(locked, found), loss_tail(portfolio, locked.cvar_confidence).value)
        self.rows: list[FloatArray] = []
        self.floors: list[float] = []
        self._add_polytope()

    def run(self) -> FloatArray | None:
        for _ in range(MOST_ROUNDS):
            y = nearest_to_origin(np.array(self.rows), np.array(self.floors))
            if y is None:
                return None
            x = self.equal + self.root * y
            if not self._cut(x):
                return x
        return None

    def _add(self, row: FloatArray, floor: float) -> None:
        """row @ x >= floor."""
        self.rows.append(row * self.root)
        self.floors.append(floor - dot(row, self.equal))

    def _add_polytope(self) -> None:
        polytope = self.program.polytope
        activity = products(polytope.rows, self.found)
        for row, low, high, at in zip(
            polytope.rows, polytope.row_lower, polytope.row_upper, activity.tolist(), strict=True
        ):
            if np.isfinite(low):
                self._add(row, min(float(low), at))
            if np.isfinite(high):
                self._add(-row, -max(float(high), at))
        for unit, low, high in zip(np.eye(len(self.found)), polytope.lower, polytope.upper, strict=True):
            self._add(unit, float(low))
            self._add(-unit, -float(high))

    def _cut(self, x: FloatArray) -> bool:
        """Add rows that x breaks; False where there are none."""
        before = len(self.rows)
        if deviation(x, self.equal) > self.most_deviation + BROKEN:
            signs = np.sign(x - self.equal)
            self._add(-signs, -self.most_deviation - dot(signs, self.equal))
        portfolio = multiples(self.program, x)
        missing = self.level - portfolio[self.kept]
        worst = np.argsort(-missing, kind="stable")[:ROWS_PER_ROUND]
        for i in worst[missing[worst] > BROKEN].tolist():
            scenario = self.kept[i]
            self._add(self.program.payoffs[scenario], float(self.level[i] - self.program.payoff_offset[scenario]))
        cut = cvar_cut(self.program, x, portfolio, self.cvar_room - cvar_room(self.program, x) + BROKEN)
        if cut is not None:
            row, floor = cut
            self._add(row, floor - (self.cvar_room - cvar_room(self.program, self.found)))
        return len(self.rows) > before
