"""The ways out of a conflict: for each limit in it, how far that one has to move if all the others stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.arrays import FloatArray
from core.optimization.elastic import ElasticStep
from core.optimization.limits import Limits
from core.optimization.loss_search import Attempt, least_losses
from core.optimization.problem import ConstraintType, PortfolioProblem
from core.solver.program import SolveControl, SolveOutcome, SolverBackend
from core.solver.strict_check import loss_count
from core.solver.sums import combination

ABSOLUTE_GAP = 1e-6
"""How exactly the least move is sought, in the limit's own unit."""


@dataclass(frozen=True, slots=True)
class WayOut:
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
class WaysOut:
    ways: tuple[WayOut, ...]
    nodes: int
    work: int
    reproducible: bool


def ways_out(
    problem: PortfolioProblem, limits: Limits, conflict: Sequence[str], backend: SolverBackend, control: SolveControl
) -> WaysOut:
    """conflict: ids of limits that together admit no portfolio. All solves together may use the work limit.

    A limit of which nothing is found out is left out: the others may be in conflict without it, too.
    """
    search = _Search(problem, limits, backend, replace(control, relative_gap=0.0, absolute_gap=ABSOLUTE_GAP))
    ways: list[WayOut] = []
    for position, constraint_id in enumerate(conflict):
        given = tuple(other for other in conflict if other != constraint_id)
        way = search.of(constraint_id, given, share=len(conflict) - position)
        if way is not None:
            ways.append(way)
    return WaysOut(tuple(ways), search.nodes, control.work_limit - search.work_left, search.reproducible)


class _Search:
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
        self.linear = tuple(problem.linear_constraints(limits))

    def of(self, constraint_id: str, given: tuple[str, ...], share: int) -> WayOut | None:
        control = replace(self.control, work_limit=max(1, self.work_left // share))
        if constraint_id == "p_loss_max":
            return self._losses(given, control)
        if constraint_id == "cvar_max":
            step = replace(self._step(given), cvar="elastic", minimise="cvar_max")
            outcome = self._solve(step, control)
            return _moved(constraint_id, "cvar_max", self.limits.cvar_limit, given, outcome)
        elastic = tuple(c for c in self.linear if c.constraint_id == constraint_id)
        step = replace(self._step(given), elastic=elastic, minimise=elastic[0].type)
        return _moved(constraint_id, elastic[0].type, elastic[0].bound, given, self._solve(step, control))

    def _losses(self, given: tuple[str, ...], control: SolveControl) -> WayOut | None:
        n_scenarios = self.problem.n_scenarios

        def attempt(max_losses: int, effort: SolveControl) -> Attempt:
            step = self._step(given)
            outcome = self._solve(replace(step, limits=replace(self.limits, max_losses=max_losses)), effort)
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
        return WayOut(
            "p_loss_max", "p_loss_max", asked, found.proven / n_scenarios, found.achieved / n_scenarios, given
        )

    def _step(self, given: Sequence[str]) -> ElasticStep:
        n_scenarios = self.problem.n_scenarios
        max_losses = self.limits.max_losses if "p_loss_max" in given else n_scenarios
        return ElasticStep(
            self.problem,
            replace(self.limits, max_losses=max_losses),
            enforced=tuple(c for c in self.linear if c.constraint_id in given),
            elastic=(),
            held={},
            minimise=None,
            cvar="enforced" if "cvar_max" in given else "absent",
        )

    def _solve(self, step: ElasticStep, control: SolveControl) -> SolveOutcome:
        outcome = self.backend.maximise(step.program(), control)
        self.work_left = max(0, self.work_left - outcome.work)
        self.nodes += outcome.nodes
        self.reproducible = self.reproducible and outcome.reproducible
        return outcome

    def _multiples(self, x: FloatArray) -> FloatArray:
        return combination(x[: self.problem.n_buckets], self.problem.moic)


def _moved(
    constraint_id: str, constraint_type: ConstraintType, asked: float, given: tuple[str, ...], outcome: SolveOutcome
) -> WayOut | None:
    """outcome: of minimising the limit's violation."""
    if outcome.status == "infeasible" or (outcome.objective is None and outcome.bound >= 0.0):
        return None
    sign = -1.0 if constraint_type.endswith(("_min", "_min_weight")) else 1.0
    achieved = None if outcome.objective is None else asked + sign * max(0.0, -outcome.objective)
    proven = asked + sign * max(0.0, -outcome.bound)
    return WayOut(constraint_id, constraint_type, asked, proven, achieved, given)
