"""Bounds on every scenario's multiple among the points that would still be an improvement.

With the objective cut-off in place most scenarios are decided: some cannot lose, some cannot help losing. Such
decisions hold for that objective and that incumbent only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, FloatArray
from core.solver.cut_lp import CutLp
from core.solver.program import ChanceProgram
from core.solver.strict_check import multiples

SAFETY = 1e-6
"""LP bounds are trusted only beyond this, ten times the feasibility tolerance and more."""


@dataclass(slots=True)
class ScenarioBounds:
    """floor: (S,) valid lower bounds of the multiples, at most 1; safe: cannot lose; lost: cannot but lose."""

    floor: FloatArray
    safe: BoolArray
    lost: BoolArray

    @classmethod
    def trivial(cls, n_scenarios: int) -> ScenarioBounds:
        """Multiples are never negative, and nothing is known beyond that."""
        none = np.zeros(n_scenarios, dtype=bool)
        return cls(np.zeros(n_scenarios), none.copy(), none.copy())

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

    def maximise(self, objective: FloatArray | None = None) -> FloatArray | None:
        """Optimum of the relaxation (chance and CVaR cuts added until none is violated); None if it is empty."""
        if objective is not None:
            self.lp.model.set_objective(objective)
        x = self.lp.run()
        for _ in range(self.MAX_ROUNDS):
            if x is None:
                return None
            portfolio = multiples(self.program, x)
            added = self.lp.add_cvar_cut(x, portfolio)
            if not (self._add_chance_cut(portfolio) or added):
                break
            x = self.lp.run()
        return x

    def _add_chance_cut(self, portfolio: FloatArray) -> bool:
        """sum over T of (1 - multiple_s) / (1 - floor_s) <= K, for T the free scenarios below 1 at this point."""
        below = np.flatnonzero((portfolio < 1.0 - 1e-9) & self.bounds.free)
        budget = self.program.max_losses - int(self.bounds.lost.sum())
        scale = 1.0 / np.maximum(1.0 - self.bounds.floor[below], 1e-3)
        if float(scale @ (1.0 - portfolio[below])) <= budget + 1e-6 * max(1, budget):
            return False
        size = max(1.0, float(budget))
        row = scale @ self.program.payoffs[below] / size
        self.lp.model.add_row(row, float(scale @ (1.0 - self.program.payoff_offset[below]) - budget) / size)
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
            if floor >= 1.0:
                self.bounds.safe[s] = True
            self.bounds.floor[s] = min(1.0, max(self.bounds.floor[s], floor))
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
