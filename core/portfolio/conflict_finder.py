"""Which constraints cannot be met together: an irreducible set by a deletion filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.portfolio.elastic import ElasticSearch
from core.portfolio.limits import Limits
from core.portfolio.problem import RELAXATION_ORDER, ConstraintType, PortfolioProblem
from core.solver.effort import Effort
from core.solver.program import SolveControl, SolverBackend


@dataclass(frozen=True, slots=True)
class Conflict:
    """constraints: ids, the lowest priority first. effort: what it took to find them."""

    constraints: tuple[str, ...]
    effort: Effort


def conflicting_constraints(
    problem: PortfolioProblem, limits: Limits, backend: SolverBackend, control: SolveControl
) -> Conflict:
    """Constraints that together admit no portfolio, while any of them left out would (as far as proven).

    The loss limit is tried first: without it all that is left to prove is linear, and quick. Then the classes are
    thinned out, the lowest priority tried first, then the bounds within them. Only what is proven dispensable leaves
    the set. All proofs together may take the work limit, each an even share of what the ones before it left.
    """
    finder = _DeletionFilter(problem, limits, backend, control.any_answer())
    kept: list[ConstraintType] = list(RELAXATION_ORDER)
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
    return Conflict(tuple(ids), finder.effort)


class _DeletionFilter(ElasticSearch):
    def ids_of(self, classes: Sequence[ConstraintType]) -> list[str]:
        ids = list(dict.fromkeys(row.constraint_id for row in self.rows if row.type in classes))
        return ids + [name for name in ("cvar_max", "p_loss_max") if name in classes]

    def impossible(self, ids: Sequence[str], share: int) -> bool:
        """Whether these constraints alone are proven to admit no portfolio, by a share of the work that is left."""
        outcome = self.solve(self.step(ids), replace(self.control, work_limit=self.share(share)))
        return outcome.status == "infeasible"
