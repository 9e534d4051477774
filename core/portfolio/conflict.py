"""Why no portfolio meets every limit: the limits that conflict, each single-limit repair, and both in words."""

from __future__ import annotations

from dataclasses import dataclass

from core.portfolio.conflict_finder import conflicting_constraints
from core.portfolio.limits import Limits
from core.portfolio.problem import PortfolioProblem
from core.portfolio.relaxation_explanation import condition, explain_single_limit_repair
from core.portfolio.single_limit_repairs import SingleLimitRepair, single_limit_repairs
from core.solver.effort import Effort
from core.solver.program import SolveControl, SolverBackend


@dataclass(frozen=True, slots=True)
class ConflictExplanation:
    """constraints: ids that together admit no portfolio; conditions: the same in words. single_limit_repairs,
    sentences: one each, if any."""

    constraints: tuple[str, ...]
    conditions: tuple[str, ...]
    single_limit_repairs: tuple[SingleLimitRepair, ...]
    sentences: tuple[str, ...]
    effort: Effort

    def __str__(self) -> str:
        if len(self.constraints) == 1:
            summary = f"no portfolio has {self.conditions[0]}; loosen this limit"
        else:
            together = f"{', '.join(self.conditions[:-1])} and {self.conditions[-1]}"
            summary = f"no portfolio has {together} together; loosen one of these limits"
        return "\n".join([f"{summary}, or allow relaxationMode 'minimal'", *self.sentences])


def explain_conflict(
    problem: PortfolioProblem, limits: Limits, backend: SolverBackend, control: SolveControl
) -> ConflictExplanation:
    """limits: proven to admit no portfolio. The conflict may use the work limit, and so may the repairs."""
    conflict = conflicting_constraints(problem, limits, backend, control)
    found = single_limit_repairs(problem, limits, conflict.constraints, backend, control)
    asked = {c.constraint_id: c.bound for c in problem.linear_constraints(limits)}
    asked |= {"cvar_max": limits.cvar_limit, "p_loss_max": problem.config.max_loss_probability}
    return ConflictExplanation(
        conflict.constraints,
        tuple(condition(constraint_id, asked[constraint_id]) for constraint_id in conflict.constraints),
        found.repairs,
        tuple(explain_single_limit_repair(repair, asked, problem.n_scenarios) for repair in found.repairs),
        conflict.effort + found.effort,
    )
