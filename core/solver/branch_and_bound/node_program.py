"""The relaxation of a node: its decisions in the chance cut, relaxed and tightened until nothing moves."""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray
from core.errors import SolverFailed
from core.solver.branch_and_bound.bounds import gains, tighten
from core.solver.branch_and_bound.cuts import THRESHOLD
from core.solver.branch_and_bound.dual_simplex import CUT_OFF, INFEASIBLE, OPTIMAL
from core.solver.branch_and_bound.knowledge import Knowledge
from core.solver.branch_and_bound.relaxation import Relaxation
from core.solver.branch_and_bound.sweep import Sweep
from core.solver.branch_and_bound.tree import Decisions

PATIENCE = 12
ENOUGH_CHANGES = 2
TIGHTENINGS = 2


class NodeProgram:
    """`relaxation` holds the node's linear program; gain: (S,) of the chance cut, 0 for what is decided."""

    def __init__(self, relaxation: Relaxation, known: Knowledge) -> None:
        self.relaxation = relaxation
        self.known = known
        self.gain = np.zeros(len(relaxation.multiples))
        self.sweep = Sweep(relaxation, known.max_losses)

    @property
    def cost(self) -> float:
        """A certified lower bound of the cost."""
        return self.relaxation.bound

    def budget(self, decisions: Decisions) -> float:
        """How many scenarios more may lose."""
        return float(self.known.max_losses - decisions.lost_count)

    def relax(self, decisions: Decisions, patience: int = PATIENCE) -> bool:
        """Solve; False when nothing better is left. Raises SolverFailed when rounding defeats the linear program."""
        gains(decisions.must, decisions.lost, decisions.floor, self.gain)
        verdict = self.relaxation.solve(
            decisions.must,
            gain=self.gain,
            budget=self.budget(decisions),
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
        changed = tighten(
            relaxation.lp,
            relaxation.scenarios,
            relaxation.multiples,
            cutoff,
            decisions.floor,
            decisions.must,
            decisions.lost,
        )
        left = self.budget(decisions)
        if left == 0.0:
            decisions.must |= ~decisions.lost
        # What was decided must not be branched on.
        gains(decisions.must, decisions.lost, decisions.floor, self.gain)
        return -1 if left < 0.0 else int(changed)

    def process(self, decisions: Decisions) -> bool:
        """Relax and tighten; False when the node is pruned."""
        left = self.budget(decisions)
        if left < 0.0:
            return False
        if left == 0.0:
            decisions.must |= ~decisions.lost
        if not self.relax(decisions):
            return False
        for _ in range(TIGHTENINGS):
            changed = self.tighten(decisions)
            if changed < 0:
                return False
            if changed == 0 or (changed < ENOUGH_CHANGES and self.budget(decisions) > 0.0):
                break
            if not self.relax(decisions):
                return False
        return True

    def is_leaf(self, decisions: Decisions) -> bool:
        """No more scenarios are below the threshold than may be."""
        below = (self.gain > 0.0) & (self.relaxation.multiples < THRESHOLD)
        return int(np.count_nonzero(below)) <= self.budget(decisions)

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
