"""What a solve knows so far: the best answer, the proven bound, the cut-off that follows from both."""

from __future__ import annotations

import numpy as np

from core.solver.branch_and_bound.cuts.relaxation import MultiplicationMeter
from core.solver.branch_and_bound.search.incumbents import Incumbents
from core.solver.effort import Effort
from core.solver.program import ChanceProgram, SolveControl, SolveOutcome, SolveProgress, SolveStatus

PHASE1_TOLERANCE = 1e-6
"""Phase-1 slack, as a share of the loss budget, above which a node is infeasible."""

CUT_SHARE = 0.9
"""Cut-offs take this share of the gap that is allowed; the rest is for rounding and margins."""


class SearchState:
    """Costs are minus objectives. `pruned_by_cutoff`: the best objective that a cut-off may have pruned.

    feasibility_only: the program asks for any feasible point; the cost is then the phase-1 slack of the loss budget.
    """

    def __init__(
        self, program: ChanceProgram, control: SolveControl, meter: MultiplicationMeter, incumbents: Incumbents
    ):
        self.control = control
        self.meter = meter
        self.incumbents = incumbents
        self.max_losses = program.max_losses
        self.feasibility_only = not program.objective.any()
        polytope = program.polytope
        most = np.maximum(program.objective * polytope.lower, program.objective * polytope.upper)
        self.bound = float(most.sum())
        self.pruned_by_cutoff = -np.inf
        self.nodes = 0

    @property
    def cutoff(self) -> float:
        """Costs above this are of no interest."""
        if self.feasibility_only:
            return PHASE1_TOLERANCE * max(1.0, float(self.max_losses))
        if self.incumbents.x is None:
            return np.inf
        return -(self.incumbents.objective + CUT_SHARE * self.allowed_gap)

    @property
    def allowed_gap(self) -> float:
        """Absolute, in units of the objective."""
        return max(self.control.relative_gap * abs(self.incumbents.objective), self.control.absolute_gap)

    def is_closed(self) -> bool:
        if self.incumbents.x is None:
            return False
        return self.feasibility_only or self.bound - self.incumbents.objective <= self.allowed_gap

    def prune_by_cutoff(self) -> None:
        """Nodes were pruned by the cut-off: the bound can be no better than that."""
        self.pruned_by_cutoff = max(self.pruned_by_cutoff, -self.cutoff)

    def improve_bound(self, cost: float) -> None:
        """From a lower bound of the cost of everything that is open."""
        if not self.feasibility_only:
            self.bound = min(self.bound, max(-cost, self.pruned_by_cutoff))

    def exhausted(self, unresolved: float = np.inf) -> None:
        """Nothing is open: what is left is what cut-offs pruned, and costs that could not be settled."""
        self.improve_bound(min(-max(self.incumbents.objective, self.pruned_by_cutoff), unresolved))

    def report(self) -> None:
        found = self.incumbents.x is not None
        objective = self.incumbents.objective if found else None
        self.control.progress(SolveProgress(objective, self.bound, self.nodes, self.meter.spent))

    def outcome(self, backend: str, *, proven_empty: bool) -> SolveOutcome:
        found = self.incumbents.x is not None
        return SolveOutcome(
            status=self._status(proven_empty),
            x=self.incumbents.x,
            objective=self.incumbents.objective if found else None,
            bound=max(self.bound, self.incumbents.objective),
            effort=Effort(self.nodes, self.meter.spent, self.meter.reproducible),
            backend=backend,
        )

    def _status(self, proven_empty: bool) -> SolveStatus:
        if self.incumbents.x is not None:
            return "optimal" if self.is_closed() else "feasible"
        return "infeasible" if proven_empty else "unknown"
