"""A node's linear program as the search uses it: relaxation, reduced-cost fixing, OBBT, a look at its solution."""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray
from core.errors import SolverFailed
from core.solver.branch_and_bound.bounds.decisions import Decisions, losses_left
from core.solver.branch_and_bound.bounds.obbt import ObbtPass
from core.solver.branch_and_bound.bounds.reduced_cost_fixing import gains, reduced_cost_fixing
from core.solver.branch_and_bound.cuts.relaxation import Relaxation
from core.solver.branch_and_bound.lp.dual_simplex import CUT_OFF, INFEASIBLE, OPTIMAL
from core.solver.branch_and_bound.search.search_state import SearchState
from core.solver.branch_and_bound.tree.visit import NODE_PATIENCE, is_leaf


class NodeProgram:
    """`relaxation` holds the node's linear program; gain: (S,) of the chance cut, 0 for what is decided."""

    def __init__(self, relaxation: Relaxation, state: SearchState) -> None:
        self.relaxation = relaxation
        self.state = state
        self.gain = np.zeros(len(relaxation.multiples))
        self.obbt = ObbtPass(relaxation, state.max_losses)

    @property
    def cost(self) -> float:
        """A certified lower bound of the cost."""
        return self.relaxation.bound

    def relax(self, decisions: Decisions, patience: int = NODE_PATIENCE) -> bool:
        """Solve; False when nothing better is left. Raises SolverFailed when rounding defeats the linear program."""
        left = losses_left(decisions, self.state.max_losses)
        gains(decisions, self.gain)
        verdict = self.relaxation.solve(
            decisions.required,
            gain=self.gain,
            budget=float(left),
            cutoff=self.state.cutoff,
            patience=patience,
        )
        if verdict == CUT_OFF:
            self.state.prune_by_cutoff()
        elif verdict not in (OPTIMAL, INFEASIBLE):
            raise SolverFailed("branch and bound: a linear program was lost to rounding")
        return verdict == OPTIMAL

    def reduced_cost_fixing(self, decisions: Decisions) -> int:
        """How many scenarios changed; -1 when more are lost than may be."""
        cutoff = self.state.cutoff
        if not np.isfinite(cutoff):
            return 0
        self.state.prune_by_cutoff()
        relaxation = self.relaxation
        changed = reduced_cost_fixing(
            relaxation.lp, relaxation.scenarios, relaxation.multiples, cutoff, decisions, np.inf
        )
        left = losses_left(decisions, self.state.max_losses)
        # What was decided must not be branched on.
        gains(decisions, self.gain)
        return -1 if left < 0 else int(changed)

    def is_leaf(self, decisions: Decisions) -> bool:
        """No more scenarios are below the threshold than may be."""
        left = losses_left(decisions, self.state.max_losses)
        return bool(is_leaf(self.relaxation.multiples, self.gain, left))

    def likely_losses(self, decisions: Decisions) -> FloatArray:
        """The multiples, (S,), with what is decided moved to either end of their order."""
        portfolio = self.relaxation.multiples.copy()
        portfolio[decisions.required] += 1e9
        portfolio[decisions.lost] -= 1e9
        return portfolio

    def relaxed_point(self) -> FloatArray:
        """The relaxation's solution in the program's own columns."""
        n = len(self.state.incumbents.program.objective)
        return self.relaxation.x[:n].copy()
