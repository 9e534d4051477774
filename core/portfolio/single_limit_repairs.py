"""Single-limit repairs of a conflict: how far each limit in it has to move if all the others stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from core.arrays import FloatArray
from core.portfolio.elastic import ElasticSearch, ElasticStep
from core.portfolio.limits import Limits
from core.portfolio.loss_search import Attempt, least_losses
from core.portfolio.problem import ConstraintType, PortfolioProblem
from core.solver.effort import Effort
from core.solver.feasibility import loss_count
from core.solver.program import SolveControl, SolverBackend
from core.solver.sums import combination

ABSOLUTE_GAP = 1e-6
"""How exactly the least move is sought, in the limit's own unit."""

PRECISION_OF_FRACTIONS, PRECISION_OF_WINNERS = 5e-4, 5e-3
"""How well a least move must be known to be reported: half a tenth of a percent, half a hundredth of a company."""


@dataclass(frozen=True, slots=True)
class SingleLimitRepair:
    """Of one limit of a conflict, in its own unit; the loss limit as a fraction of scenarios.

    asked: cannot be had together with the others. proven: nothing on asked's side of it can. achieved: a portfolio
    keeps this and the others; None if none was found. given: ids of the others.
    """

    constraint_id: str
    type: ConstraintType
    asked: float
    proven: float
    achieved: float | None
    given: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SingleLimitRepairs:
    repairs: tuple[SingleLimitRepair, ...]
    effort: Effort


def single_limit_repairs(
    problem: PortfolioProblem, limits: Limits, conflict: Sequence[str], backend: SolverBackend, control: SolveControl
) -> SingleLimitRepairs:
    """conflict: ids of limits that together admit no portfolio. All solves together may use the work limit.

    A limit of which nothing is found out is left out: the others may be in conflict without it, too.
    """
    search = _Search(problem, limits, backend, replace(control, relative_gap=0.0, absolute_gap=ABSOLUTE_GAP))
    repairs: list[SingleLimitRepair] = []
    for position, constraint_id in enumerate(conflict):
        given = tuple(other for other in conflict if other != constraint_id)
        repair = search.of(constraint_id, given, share=len(conflict) - position)
        if repair is not None:
            repairs.append(repair)
    return SingleLimitRepairs(tuple(repairs), search.effort)


class _Search(ElasticSearch):
    def of(self, constraint_id: str, given: tuple[str, ...], share: int) -> SingleLimitRepair | None:
        control = replace(self.control, work_limit=self.share(share))
        if constraint_id == "p_loss_max":
            return self._losses(given, control)
        if constraint_id == "cvar_max":
            return self._cvar(given, control)
        return self._linear(constraint_id, given, control)

    def _cvar(self, given: tuple[str, ...], control: SolveControl) -> SingleLimitRepair | None:
        step, asked = self.step(given), self.limits.cvar_limit

        def at(move: float) -> ElasticStep:
            return replace(step, cvar="enforced", limits=replace(step.limits, cvar_limit=asked + move))

        minimized = replace(step, cvar="elastic", minimize="cvar_max")
        least = self._least_move(minimized, at, widest=1.0 - asked, precision=PRECISION_OF_FRACTIONS, control=control)
        return None if least is None else least.repair("cvar_max", "cvar_max", asked, given)

    def _linear(self, constraint_id: str, given: tuple[str, ...], control: SolveControl) -> SingleLimitRepair | None:
        step = self.step(given)
        rows = tuple(c for c in self.rows if c.constraint_id == constraint_id)
        kind, asked, sign = rows[0].type, rows[0].bound, -1.0 if rows[0].is_minimum else 1.0

        def at(move: float) -> ElasticStep:
            moved = tuple(replace(row, bound=asked + sign * move) for row in rows)
            return replace(step, enforced=(*step.enforced, *moved))

        minimized = replace(step, elastic=rows, minimize=kind)
        widest = asked if rows[0].is_minimum else 1.0 - asked
        precision = PRECISION_OF_WINNERS if kind == "expected_winners_min" else PRECISION_OF_FRACTIONS
        least = self._least_move(minimized, at, widest=widest, precision=precision, control=control)
        return None if least is None else least.repair(constraint_id, kind, asked, given)

    def _least_move(
        self,
        minimized: ElasticStep,
        at: Callable[[float], ElasticStep],
        *,
        widest: float,
        precision: float,
        control: SolveControl,
    ) -> _LeastMove | None:
        """Minimize the move; if the work for that does not do, bisect it over feasibility, which is easier to settle.

        minimized: with the move as objective. at: with the limit moved just so far, and held. widest: beyond it the
        limit holds for every portfolio. precision: of the interval; a narrower one would be reported alike.
        """
        before = self.work_left
        outcome = self.solve(minimized, replace(control, work_limit=max(1, control.work_limit // 2)))
        if outcome.status == "infeasible":
            return None
        proven = min(widest, max(0.0, -outcome.bound))
        achieved = None if outcome.objective is None else max(0.0, -outcome.objective)
        while achieved is None or achieved - proven > precision:
            left = control.work_limit - (before - self.work_left)
            tried = widest if achieved is None else 0.5 * (proven + achieved)
            effort = replace(control.any_answer(), work_limit=max(1, left // 2))
            outcome = self.solve(at(tried), effort)
            if outcome.x is not None:
                achieved = tried
            elif outcome.status == "infeasible" and achieved is not None:
                proven = tried
            else:
                break
        return None if achieved is None and proven <= 0.0 else _LeastMove(proven, achieved)

    def _losses(self, given: tuple[str, ...], control: SolveControl) -> SingleLimitRepair | None:
        n_scenarios = self.problem.n_scenarios

        def attempt(max_losses: int, effort: SolveControl) -> Attempt:
            step = self.step(given)
            outcome = self.solve(replace(step, limits=replace(self.limits, max_losses=max_losses)), effort)
            losses = None if outcome.x is None else loss_count(self._multiples(outcome.x))
            return Attempt(losses, outcome.status == "infeasible", outcome.work)

        before = self.work_left
        free = attempt(n_scenarios, replace(control.any_answer(), work_limit=max(1, control.work_limit // 2)))
        asked = self.problem.config.max_loss_probability
        # The conflict itself is the proof that what was asked for does not do.
        least = self.limits.max_losses + 1
        if free.losses is None:
            return None
        left = replace(control, work_limit=max(1, control.work_limit - (before - self.work_left)))
        found = least_losses(attempt, left, least=least, achieved=max(least, free.losses))
        return SingleLimitRepair(
            "p_loss_max", "p_loss_max", asked, found.proven / n_scenarios, found.achieved / n_scenarios, given
        )

    def _multiples(self, x: FloatArray) -> FloatArray:
        return combination(x[: self.problem.n_columns], self.problem.moic)


@dataclass(frozen=True, slots=True)
class _LeastMove:
    """proven: less does not do. achieved: so much does; None if no portfolio was found."""

    proven: float
    achieved: float | None

    def repair(
        self, constraint_id: str, kind: ConstraintType, asked: float, given: tuple[str, ...]
    ) -> SingleLimitRepair:
        sign = -1.0 if kind.endswith(("_min", "_min_weight")) else 1.0
        achieved = None if self.achieved is None else asked + sign * self.achieved
        return SingleLimitRepair(constraint_id, kind, asked, asked + sign * self.proven, achieved, given)
