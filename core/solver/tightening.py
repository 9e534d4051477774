"""Bounds on every scenario's multiple among the points that would still be an improvement.

With the objective cut-off in place most scenarios are decided: some cannot lose, some cannot help losing. Such
decisions hold for that objective and that incumbent only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, FloatArray
from core.solver.cut_lp import CutLp
from core.solver.feasibility import multiples
from core.solver.program import LOSS_THRESHOLD, ChanceProgram
from core.solver.sums import combination, dot

SAFETY = 1e-6
"""LP bounds are trusted only beyond this, ten times the feasibility tolerance and more."""


@dataclass(slots=True)
class ScenarioBounds:
    """floor: (S,) valid lower bounds of the multiples; safe: cannot lose; lost: cannot but lose."""

    floor: FloatArray
    safe: BoolArray
    lost: BoolArray

    @classmethod
    def trivial(cls, n_scenarios: int) -> ScenarioBounds:
        """Multiples are never negative, and nothing is known beyond that."""
        none = np.zeros(n_scenarios, dtype=bool)
        return cls(np.zeros(n_scenarios), none.copy(), none.copy())

    @property
    def lost_count(self) -> int:
        return int(np.count_nonzero(self.lost))

    @property
    def free(self) -> BoolArray:
        return ~(self.safe | self.lost)


class Relaxation:
    """The LP relaxation with chance cuts: a bound on the objective, and on each multiple."""

    MAX_ROUNDS = 200

    def __init__(self, program: ChanceProgram, lp: CutLp) -> None:
        self.program = program
        self.lp = lp
        self.bounds = ScenarioBounds.trivial(len(program.payoff_offset))

    def maximize(self) -> FloatArray | None:
        """Optimum of the relaxation (chance and CVaR cuts added until none is violated); None if it is empty."""
        self.lp.model.set_objective(self.program.objective)
        x = self.lp.run()
        for _ in range(self.MAX_ROUNDS):
            if x is None:
                return None
            portfolio = multiples(self.program, x)
            added = self.lp.add_cvar_cut(x, portfolio)
            if not (self._add_chance_cut(portfolio) or added):
                return x
            before, x = x, self.lp.run()
            if x is not None and np.array_equal(x, before):
                return x  # what x still violates is below the solver's resolution
        return x

    def _add_chance_cut(self, portfolio: FloatArray) -> bool:
        """sum over T of (t - multiple_s) / (t - floor_s) <= K, with T the free scenarios below t, the loss threshold.

        A scenario that loses adds at most 1 to the sum, any other at most 0.
        """
        below = np.flatnonzero((portfolio < LOSS_THRESHOLD) & self.bounds.free)
        budget = self.program.max_losses - self.bounds.lost_count
        scale = 1.0 / np.maximum(LOSS_THRESHOLD - self.bounds.floor[below], 1e-3)
        if dot(scale, LOSS_THRESHOLD - portfolio[below]) <= budget + 1e-6 * max(1, budget):
            return False
        size = max(1.0, float(budget))
        row = combination(scale, self.program.payoffs[below]) / size
        floor = dot(scale, LOSS_THRESHOLD - self.program.payoff_offset[below]) - budget
        self.lp.model.add_row(row, floor / size)
        return True

    def tighten(self, known: list[FloatArray], until: int) -> bool:
        """One sweep over the free scenarios; False when the relaxation turns out to be empty.

        known: points of the relaxation; what they already refute is not asked again.
        """
        highest = np.full(len(self.program.payoff_offset), -np.inf)
        for point in known:
            np.maximum(highest, multiples(self.program, point), out=highest)
        return self._raise_floors(highest, until) and self._find_lost(highest, until)

    def _raise_floors(self, highest: FloatArray, until: int) -> bool:
        for s in np.flatnonzero(self.bounds.free):
            if self.lp.meter.spent >= until:
                break
            self.lp.model.set_objective(-self.program.payoffs[s])
            x = self.lp.run()
            if x is None:
                return False
            portfolio = multiples(self.program, x)
            np.maximum(highest, portfolio, out=highest)
            floor = float(portfolio[s]) - SAFETY
            self.bounds.floor[s] = max(self.bounds.floor[s], floor)
            self.bounds.safe[s] = self.bounds.floor[s] >= LOSS_THRESHOLD
        return True

    def _find_lost(self, highest: FloatArray, until: int) -> bool:
        for s in np.flatnonzero(self.bounds.free):
            if self.lp.meter.spent >= until:
                break
            if highest[s] >= 1.0 - SAFETY:
                continue
            self.lp.model.set_objective(self.program.payoffs[s])
            x = self.lp.run()
            if x is None:
                return False
            portfolio = multiples(self.program, x)
            np.maximum(highest, portfolio, out=highest)
            self.bounds.lost[s] = portfolio[s] < 1.0 - SAFETY
        return True
