"""Reweighted ALSO-X: minimise weighted shortfalls under a target for the objective, and bisect on the target.

    minimise  v   subject to   sum_s omega_s max(0, threshold - multiple_s) <= v,   objective @ x >= target

by cutting planes in (x, v): the same chance cut as in the tree, with omega for the gains and an overrun column v.
Then omega = 1 / (shortfall + 0.02), which brings the sum closer to a count. Source: Ahmed and Xie (2018), relaxations
and approximations of chance constraints under finite distributions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.arrays import FloatArray
from core.solver.branch_and_bound.dual_simplex import OPTIMAL
from core.solver.branch_and_bound.incumbents import Incumbents
from core.solver.branch_and_bound.relaxation import EngineMeter, Relaxation
from core.solver.branch_and_bound.scenarios import scenarios_of
from core.solver.branch_and_bound.tableau import BASE, refresh_values
from core.solver.program import LOSS_THRESHOLD, ChanceProgram, Polytope

REWEIGHTINGS = 8
TARGETS = 9
SHARPNESS = 0.02


def with_overrun(polytope: Polytope, most: float) -> Polytope:
    """The polytope with one more column, in [0, most] and in none of the rows."""
    return replace(
        polytope,
        rows=np.hstack([polytope.rows, np.zeros((len(polytope.rows), 1))]),
        lower=np.append(polytope.lower, 0.0),
        upper=np.append(polytope.upper, most),
    )


class AlsoX:
    """Proposes points to `incumbents`."""

    def __init__(self, program: ChanceProgram, incumbents: Incumbents, meter: EngineMeter) -> None:
        self.incumbents = incumbents
        self.meter = meter
        self.max_losses = program.max_losses
        n, n_scenarios = len(program.objective), len(program.payoff_offset)
        cost = np.append(np.zeros(n), 1.0)
        # A gain is at most 1 / 0.02 times the average, a shortfall at most 1.
        polytope = with_overrun(program.polytope, 100.0 * n_scenarios)
        self._lp = Relaxation(cost, polytope, scenarios_of(program, with_overrun=True), meter)
        self._target_scale = max(float(np.abs(program.objective).max()), 1e-300)
        self._target_row = self._lp.n_base
        self._lp.add_base_row(np.append(program.objective, 0.0), -np.inf, np.inf)
        assert self._lp.lp.kind[self._target_row] == BASE
        self._must = np.zeros(n_scenarios, dtype=bool)
        self._start = self._lp.snapshot()
        self._open = float(self._start.lower[n + 1 + self._target_row])

    def run(self, upper: float, until: int) -> None:
        """Bisect between what is known to be reachable and `upper`, a bound on the objective."""
        incumbents = self.incumbents
        reached = incumbents.objective
        for step in range(TARGETS):
            found = incumbents.x is not None
            if step == 0:
                target = -np.inf
            elif not found:
                return
            else:
                reached = max(reached, incumbents.objective)
                target = reached + (upper - reached) * (0.25 if step == 1 else 0.5)
                if upper - target < 1e-5 * abs(upper):
                    return
            if self.meter.spent >= until:
                return
            if not self._reach(target, until) and step > 0:
                upper = target

    def _reach(self, target: float, until: int) -> bool:
        """Whether an answer at least as good as the target was found."""
        lp = self._lp
        gain = np.ones(len(self._must))
        before: FloatArray | None = None
        for _ in range(REWEIGHTINGS):
            lp.restored(self._start)
            place = len(lp.lp.cost) + self._target_row
            lp.lp.lower[place] = max(self._open, target / self._target_scale)
            refresh_values(lp.lp)
            if lp.solve(self._must, gain=gain, budget=0.0, patience=30) != OPTIMAL:
                return False
            portfolio = lp.multiples.copy()
            self.incumbents.improve(portfolio, until)
            if self.incumbents.objective >= target and self.incumbents.x is not None and np.isfinite(target):
                return True
            if before is not None and np.allclose(portfolio, before, rtol=0.0, atol=1e-7):
                return False
            before = portfolio
            shortfall = np.maximum(0.0, LOSS_THRESHOLD - portfolio)
            gain = 1.0 / (shortfall + SHARPNESS)
            gain /= gain.mean()
            if self.meter.spent >= until:
                return False
        return False
