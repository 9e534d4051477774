"""First answers: rounding and exchanges, so that a work limit never leaves a user with nothing.

A choice of at most `max_losses` scenarios that may lose turns the program into an LP; every heuristic here proposes
such choices and keeps the best strictly feasible point.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.solver.cut_lp import RESOLUTION, CutLp
from core.solver.feasibility import is_feasible, multiples, worst_scenarios
from core.solver.program import ChanceProgram
from core.solver.sums import dot
from core.solver.work import WorkMeter


class IncumbentSearch:
    """Holds the best strictly feasible point so far: `x` (n,) or None, and its `objective`."""

    def __init__(self, program: ChanceProgram, meter: WorkMeter) -> None:
        self.program = program
        self.meter = meter
        self.x: FloatArray | None = None
        self.objective = -np.inf
        self._lp = CutLp(program, meter)
        self._tried: set[bytes] = set()

    def offer(self, x: FloatArray) -> bool:
        """Take x if it is better and strictly feasible, not just on the threshold of a loss, where rounding decides."""
        value = dot(self.program.objective, x)
        if value <= self.objective or not is_feasible(self.program, x, 1.0 - RESOLUTION):
            return False
        self.x, self.objective = x, value
        return True

    def round(self, x: FloatArray) -> FloatArray | None:
        """Let the worst scenarios of x be the losses and optimize the rest."""
        return self._solve(self.allowed_losses(multiples(self.program, x)))

    @cached_property
    def _exact_lp(self) -> CutLp:
        """Few programs need it, and each solve would have to build it."""
        return CutLp(self.program, self.meter, margin=0.0)

    def round_exactly(self, x: FloatArray) -> None:
        """The same without the margin, for programs that cannot afford it."""
        exact = self._exact_lp.maximize(~self.allowed_losses(multiples(self.program, x)))
        if exact is not None:
            self.offer(exact)

    def allowed_losses(self, portfolio: FloatArray) -> BoolArray:
        return worst_scenarios(portfolio, self.program.max_losses)

    def _solve(self, allowed: BoolArray) -> FloatArray | None:
        key = np.packbits(allowed).tobytes()
        if key in self._tried:
            return None
        self._tried.add(key)
        x = self._lp.maximize(~allowed)
        if x is not None:
            self.offer(x)
        return x

    def improve(self, x: FloatArray, until: int) -> None:
        """Round x, then spend losses that the answer does not need on the rows that cost most, until nothing moves."""
        point = self.round(x)
        while point is not None and self.meter.spent < until:
            portfolio = multiples(self.program, point)
            losing = portfolio < 1.0
            unused = self.program.max_losses - int(losing.sum())
            costly = self._costly_rows()
            if unused <= 0 or not costly:
                return
            allowed = losing.copy()
            allowed[costly[:unused]] = True
            point = self._solve(allowed)

    def exchange(self, until: int, width: int = 12, depth: int = 8) -> None:
        """Swap one loss for another while that improves: the losses nearest to 1 against the costliest rows."""
        improved = True
        while improved and self.x is not None and self.meter.spent < until:
            improved = False
            portfolio = multiples(self.program, self.x)
            allowed = self.allowed_losses(portfolio)
            if self._lp.maximize(~allowed) is None:
                return
            costly = self._costly_rows()[:depth]
            losses = np.flatnonzero(allowed)
            losses = losses[np.argsort(-portfolio[losses], kind="stable")][:width]
            improved = self._first_better_swap(allowed, costly, losses, until)

    def _first_better_swap(self, allowed: BoolArray, costly: list[int], losses: IntArray, until: int) -> bool:
        before = self.objective
        for gained in costly:
            for given in losses:
                swapped = allowed.copy()
                swapped[gained], swapped[given] = True, False
                self._solve(swapped)
                if self.objective > before + 1e-9:
                    return True
                if self.meter.spent >= until:
                    return False
        return False

    def _costly_rows(self) -> list[int]:
        """Scenarios held above 1 by a row with a dual, the costliest first."""
        duals = self._lp.model.row_duals
        price = [(abs(float(duals[row])), s) for s, row in self._lp.row_of_scenario.items() if row < len(duals)]
        return [s for cost, s in sorted(price, key=lambda pair: (-pair[0], pair[1])) if cost > 1e-9]
