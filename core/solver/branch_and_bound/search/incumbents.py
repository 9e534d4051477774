"""First answers and better ones. A choice of K scenarios that may lose turns the program into a linear one; every
search here proposes such choices and keeps the best strictly feasible point."""

from __future__ import annotations

import numpy as np

from core.arrays import BoolArray, FloatArray
from core.solver.branch_and_bound.cuts.relaxation import (
    NODE_MULTIPLICATIONS,
    MultiplicationMeter,
    Relaxation,
    set_scenario_floors,
)
from core.solver.branch_and_bound.cuts.scenarios import Scenarios
from core.solver.branch_and_bound.lp.dual_simplex import OPTIMAL
from core.solver.branch_and_bound.lp.tableau import ROWS, SCENARIO_ROW, WORK
from core.solver.cut_lp import MARGIN
from core.solver.feasibility import is_feasible, multiples, worst_scenarios
from core.solver.program import LOSS_RESOLUTION, ChanceProgram
from core.solver.sums import dot

SWAPPED_LOSSES, SWAPPED_ROWS = 20, 12
"""So many losses are tried against so many rows before a local search ends."""
SWAP_GAIN = 1e-9


class Incumbents:
    """The best strictly feasible point so far: `x` (n,) or None, and its `objective`."""

    def __init__(self, program: ChanceProgram, scenarios: Scenarios, meter: MultiplicationMeter) -> None:
        self.program = program
        self.meter = meter
        self.x: FloatArray | None = None
        self.objective = -np.inf
        self._lp = Relaxation(-program.objective, program.polytope, scenarios, meter)
        self._tried: set[bytes] = set()
        self._searched: set[bytes] = set()

    def offer(self, x: FloatArray) -> bool:
        """Take x if it is better and strictly feasible, not just on the threshold of a loss, where rounding decides."""
        value = dot(self.program.objective, x)
        if value <= self.objective:
            return False
        clipped = np.clip(x, self.program.polytope.lower, self.program.polytope.upper)
        value = dot(self.program.objective, clipped)
        if value <= self.objective or not is_feasible(self.program, clipped, 1.0 - LOSS_RESOLUTION):
            return False
        self.x, self.objective = clipped, value
        return True

    def round(self, x: FloatArray) -> FloatArray | None:
        """Let the worst scenarios of x be the losses and optimize the rest; None where that holds nothing better."""
        return self._lp.x.copy() if self._solve(self.worst(multiples(self.program, x)), MARGIN) else None

    def fix_losses(self, portfolio: FloatArray, margin: float) -> None:
        """The same from multiples (S,), with a margin above 1 or without."""
        self._solve(self.worst(portfolio), margin)

    def worst(self, portfolio: FloatArray) -> BoolArray:
        return worst_scenarios(portfolio, self.program.max_losses)

    def improve(self, portfolio: FloatArray, until: int) -> bool:
        """Round, then spend losses that the answer does not need on the rows that cost most, until nothing moves."""
        before = self.objective
        allowed = self.worst(portfolio)
        while self._solve(allowed, MARGIN) and self.meter.spent < until:
            losing = self._lp.multiples < 1.0
            unused = self.program.max_losses - int(losing.sum())
            costly = self._costly()
            if unused <= 0 or not costly:
                break
            allowed = losing.copy()
            allowed[costly[:unused]] = True
        return self.objective > before

    def local_search(self, allowed: BoolArray, until: int) -> None:
        """Swap one of these losses for another scenario while that improves the best portfolio with them.

        It ends where it meets the path of an earlier search.
        """
        going = self._run(allowed, MARGIN, np.inf)
        while going and (key := np.packbits(allowed).tobytes()) not in self._searched:
            self._searched.add(key)
            self.offer(self._lp.x.copy())
            going = self._swap(allowed, until)

    def _swap(self, allowed: BoolArray, until: int) -> bool:
        """One swap in `allowed`: a loss whose multiple is near to 1 (or above) for a scenario whose row costs much.

        False when none of the likeliest swaps improves the portfolio at hand, or `until` is reached.
        """
        value, portfolio = -self._lp.bound, self._lp.multiples.copy()
        losses = np.flatnonzero(allowed)
        removable = losses[np.argsort(-portfolio[losses], kind="stable")][:SWAPPED_LOSSES]
        for added in self._costly()[:SWAPPED_ROWS]:
            for removed in removable:
                if self.meter.spent >= until:
                    return False
                allowed[added], allowed[removed] = True, False
                if self._run(allowed, MARGIN, -value - SWAP_GAIN) and -self._lp.bound > value + SWAP_GAIN:
                    return True
                allowed[added], allowed[removed] = False, True
        return False

    def _solve(self, allowed: BoolArray, margin: float) -> bool:
        """Whether there is anything better with these losses; nothing is tried twice."""
        key = np.packbits(allowed).tobytes() + bytes([margin > 0.0])
        if key in self._tried:
            return False
        self._tried.add(key)
        cutoff = -self.objective - 1e-9 * abs(self.objective) if self.x is not None else np.inf
        if not self._run(allowed, margin, cutoff):
            return False
        self.offer(self._lp.x.copy())
        return True

    def _run(self, allowed: BoolArray, margin: float, cutoff: float) -> bool:
        required = ~allowed
        self._lp.lp.counts[WORK] += NODE_MULTIPLICATIONS
        set_scenario_floors(self._lp.lp, self._lp.scenarios, required, 1.0 + margin)
        tolerance = 0.5 * margin + LOSS_RESOLUTION
        verdict = self._lp.solve(required, level=1.0 + margin, tolerance=tolerance, cutoff=cutoff, patience=1000)
        return verdict == OPTIMAL

    def _costly(self) -> list[int]:
        """Scenarios held above 1 by a row with a reduced cost, the costliest first."""
        lp = self._lp.lp
        n = len(lp.cost)
        rows = [(abs(float(d)), v - n) for d, v in zip(lp.reduced, lp.nonbasic.tolist(), strict=True) if v >= n]
        price = [(cost, int(lp.tag[i])) for cost, i in rows if lp.kind[i] == SCENARIO_ROW and cost > 1e-9]
        assert lp.counts[ROWS] <= len(lp.kind)
        return [s for _, s in sorted(price, key=lambda pair: (-pair[0], pair[1]))]
