"""One linear program a scenario and side, at the root: floors for the chance cut, and scenarios decided outright.

The same as `bounds.tighten`, but with the relaxation optimised for each multiple instead of estimated from one basis.
"""

from __future__ import annotations

import numpy as np

from core.solver.branch_and_bound.bounds import SAFETY, gains
from core.solver.branch_and_bound.cuts import THRESHOLD
from core.solver.branch_and_bound.dual_simplex import CUT_OFF, INFEASIBLE, OPTIMAL
from core.solver.branch_and_bound.relaxation import Relaxation
from core.solver.branch_and_bound.tableau import ROWS, Lp, drop_slack_rows, set_cost
from core.solver.branch_and_bound.tree import Decisions
from core.solver.program import Polytope

PATIENCE = 1


class Sweep:
    """Works on a relaxation of its own: the root's rows, with the cut-off as one more."""

    def __init__(self, root: Relaxation, polytope: Polytope, saved: Lp, cutoff: float, max_losses: int) -> None:
        scenarios = root.scenarios
        self.max_losses = max_losses
        self.lp = Relaxation(root.lp.cost, polytope, scenarios, root.meter)
        self.lp.add_base_row(root.lp.cost, -np.inf, cutoff)
        self._adopt_cuts(saved, root.n_base)
        self._scenarios = scenarios

    def _adopt_cuts(self, saved: Lp, n_base: int) -> None:
        n = len(saved.cost)
        for i in range(n_base, int(saved.counts[ROWS])):
            self.lp.adopt(saved.rows[i], float(saved.lower[n + i]), int(saved.kind[i]), int(saved.tag[i]))

    def run(self, decisions: Decisions, until: int) -> bool:
        """One sweep over the free scenarios; False when nothing is left within the cut-off."""
        gain = np.empty(len(decisions.must))
        highest = np.full(len(decisions.must), -np.inf)
        for s in np.flatnonzero(~(decisions.must | decisions.lost)).tolist():
            if self.lp.meter.spent >= until:
                return True
            gains(decisions.must, decisions.lost, decisions.floor, gain)
            if not self._raise_floor(s, decisions, gain, highest):
                return False
        for s in np.flatnonzero(~(decisions.must | decisions.lost) & (highest < 1.0)).tolist():
            if self.lp.meter.spent >= until:
                return True
            if highest[s] >= 1.0:
                continue
            gains(decisions.must, decisions.lost, decisions.floor, gain)
            if not self._lower_ceiling(s, decisions, gain, highest):
                return False
        return decisions.lost_count <= self.max_losses

    def _optimise(self, s: int, sign: float, cutoff: float, decisions: Decisions, gain: np.ndarray) -> int:
        set_cost(self.lp.lp, sign * self._scenarios.payoffs[s])
        drop_slack_rows(self.lp.lp)
        budget = float(self.max_losses - decisions.lost_count)
        return self.lp.solve(decisions.must, gain=gain, budget=budget, cutoff=cutoff, patience=PATIENCE)

    def _raise_floor(self, s: int, decisions: Decisions, gain: np.ndarray, highest: np.ndarray) -> bool:
        offset = float(self._scenarios.offset[s])
        verdict = self._optimise(s, 1.0, THRESHOLD + 2 * SAFETY - offset, decisions, gain)
        if verdict == INFEASIBLE:
            return False
        if verdict == OPTIMAL:
            np.maximum(highest, self.lp.multiples, out=highest)
        floor = offset + self.lp.bound - SAFETY
        decisions.floor[s] = max(decisions.floor[s], floor)
        if verdict == CUT_OFF or floor >= THRESHOLD:
            decisions.must[s] = True
        return True

    def _lower_ceiling(self, s: int, decisions: Decisions, gain: np.ndarray, highest: np.ndarray) -> bool:
        offset = float(self._scenarios.offset[s])
        verdict = self._optimise(s, -1.0, np.inf, decisions, gain)
        if verdict == INFEASIBLE:
            return False
        if verdict == OPTIMAL:
            np.maximum(highest, self.lp.multiples, out=highest)
        if offset - self.lp.bound + SAFETY < THRESHOLD:
            decisions.lost[s] = True
        return decisions.lost_count <= self.max_losses
