"""Which constraints cannot be met together: an irreducible set by a deletion filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.optimization.elastic import ElasticStep
from core.optimization.limits import Limits
from core.optimization.problem import GIVES_WAY_FIRST_TO_LAST, ConstraintType, PortfolioProblem
from core.solver.program import SolveControl, SolverBackend


@dataclass(frozen=True, slots=True)
class Conflict:
    """constraints: ids, the least sacred class first. nodes, work: what it took to find them."""

    constraints: tuple[str, ...]
    nodes: int
    work: int
    reproducible: bool


def conflicting_constraints(
    problem: PortfolioProblem, limits: Limits, backend: SolverBackend, control: SolveControl
) -> Conflict:
    """Constraints that together admit no portfolio, while any of them left out would (as far as proven).

    The loss limit is tried first: without it all that is left to prove is linear, and quick. Then the classes are
    thinned out, the least sacred ones tried first, then the bounds within them. Only what is proven dispensable leaves
    the set. All proofs together may take the work limit, each an even share of what the ones before it left.
    """
    finder = _DeletionFilter(problem, limits, backend, control.any_answer())
    kept: list[ConstraintType] = list(GIVES_WAY_FIRST_TO_LAST)
    tries: list[ConstraintType] = ["p_loss_max", *(c for c in kept if c != "p_loss_max")]
    for position, constraint_class in enumerate(tries):
        rest = [c for c in kept if c != constraint_class]
        # One share more, for the bounds.
        if finder.impossible(finder.ids_of(rest), share=len(tries) - position + 1):
            kept = rest
    ids = finder.ids_of(kept)
    tried = tuple(ids)
    for position, constraint_id in enumerate(tried):
        rest_ids = [i for i in ids if i != constraint_id]
        if finder.impossible(rest_ids, share=len(tried) - position):
            ids = rest_ids
    return Conflict(tuple(ids), finder.nodes, control.work_limit - finder.work_left, finder.reproducible)


class _DeletionFilter:
    def __init__(
        self, problem: PortfolioProblem, limits: Limits, backend: SolverBackend, control: SolveControl
    ) -> None:
        self.problem = problem
        self.limits = limits
        self.backend = backend
        self.control = control
        self.work_left = control.work_limit
        self.nodes = 0
        self.reproducible = True
        self.linear = problem.linear_constraints(limits)

    def ids_of(self, classes: Sequence[ConstraintType]) -> list[str]:
        ids = list(dict.fromkeys(c.constraint_id for c in self.linear if c.type in classes))
        return ids + [name for name in ("cvar_max", "p_loss_max") if name in classes]

    def impossible(self, ids: Sequence[str], share: int) -> bool:
        """Whether these constraints alone are proven to admit no portfolio, by a share of the work that is left."""
        n = self.problem.n_scenarios
        max_losses = self.limits.max_losses if "p_loss_max" in ids else n
        step = ElasticStep(
            self.problem,
            replace(self.limits, max_losses=max_losses),
            enforced=tuple(c for c in self.linear if c.constraint_id in ids),
            elastic=(),
            held={},
            minimise=None,
            cvar="enforced" if "cvar_max" in ids else "absent",
        )
        outcome = self.backend.maximise(
            step.program(), replace(self.control, work_limit=max(1, self.work_left // share))
        )
        self.work_left = max(0, self.work_left - outcome.work)
        self.nodes += outcome.nodes
        self.reproducible = self.reproducible and outcome.reproducible
        return outcome.status == "infeasible"
