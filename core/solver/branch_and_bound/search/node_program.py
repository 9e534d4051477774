"""A node's linear program in the hands of the search: relaxed, tightened, swept, looked at."""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray
from core.errors import SolverFailed
from core.solver.branch_and_bound.bounds.decisions import Decisions, losses_left
from core.solver.branch_and_bound.bounds.obbt import Sweep
from core.solver.branch_and_bound.bounds.reduced_cost_fixing import gains, tighten
from core.solver.branch_and_bound.cuts.relaxation import Relaxation
from core.solver.branch_and_bound.lp.dual_simplex import CUT_OFF, INFEASIBLE, OPTIMAL
from core.solver.branch_and_bound.search.search_state import SearchState
from core.solver.branch_and_bound.tree.visit import PATIENCE, is_leaf


class NodeProgram:
    """`relaxation` holds the node's linear program; gain: (S,) of the chance cut, 0 for what is decided."""

    def __init__(self, relaxation: Relaxation, known: SearchState) -> None:
        self.relaxation = relaxation
        self.known = known
        self.gain = np.zeros(len(relaxation.multiples))
        self.sweep = Sweep(relaxation, known.max_losses)

    @property
    def cost(self) -> float:
        """A certified lower bound of the cost."""
        return self.relaxation.bound

    def relax(self, decisions: Decisions, patience: int = PATIENCE) -> bool:
        """Solve; False when nothing better is left. Raises SolverFailed when rounding defeats the linear program."""
        left = losses_left(decisions, self.known.max_losses)
        gains(decisions, self.gain)
        verdict = self.relaxation.solve(
            decisions.must,
            gain=self.gain,
            budget=float(left),
            cutoff=self.known.cutoff,
            patience=patience,
        )
        if verdict == CUT_OFF:
            self.known.overtake()
        elif verdict not in (OPTIMAL, INFEASIBLE):
            raise SolverFailed("branch and bound: a linear program was lost to rounding")
        return verdict == OPTIMAL

    def tighten(self, decisions: Decisions) -> int:
        """How many scenarios changed; -1 when more are lost than may be."""
        cutoff = self.known.cutoff
        if not np.isfinite(cutoff):
            return 0
        self.known.overtake()
        relaxation = self.relaxation
        changed = tighten(relaxation.lp, relaxation.scenarios, relaxation.multiples, cutoff, decisions, np.inf)
        left = losses_left(decisions, self.known.max_losses)
        # What was decided must not be branched on.
        gains(decisions, self.gain)
        return -1 if left < 0 else int(changed)

    def is_leaf(self, decisions: Decisions) -> bool:
        """No more scenarios are below the threshold than may be."""
        left = losses_left(decisions, self.known.max_losses)
        return bool(is_leaf(self.relaxation.multiples, self.gain, left))

    def likely_losses(self, decisions: Decisions) -> FloatArray:
        """The multiples, (S,), with what is decided moved to either end of their order."""
        portfolio = self.relaxation.multiples.copy()
        portfolio[decisions.must] += 1e9
        portfolio[decisions.lost] -= 1e9
        return portfolio

    def relaxed_point(self) -> FloatArray:
        """The relaxation's solution in the program's own columns."""
        n = len(self.known.incumbents.program.objective)
        return self.relaxation.x[:n].copy()
