"""When no portfolio satisfies everything: move the bounds just as far as needed, the lowest priority first.

From the highest priority to the lowest, the class's total violation is minimized with those of higher priority held at
what they achieved and those of lower priority left out. What could not be proven within the work limit is reported as
an interval [proven, achieved]. Exact and always successful, unlike steps of a fixed size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from core.arrays import FloatArray
from core.portfolio.elastic import CvarRole, ElasticStep
from core.portfolio.limits import Limits
from core.portfolio.loss_search import Attempt, least_losses
from core.portfolio.problem import (
    RELAXATION_ORDER,
    ConstraintType,
    LinearConstraint,
    PortfolioProblem,
)
from core.portfolio.strict import normalize_weights
from core.solver.effort import Effort
from core.solver.feasibility import loss_count, loss_tail
from core.solver.program import LINEAR_TOLERANCE, SolveControl, SolveOutcome, SolverBackend
from core.solver.sums import combination, dot
from core.stages import Stage

HELD_TOLERANCE = 1e-9
"""Added to what a class achieved when it is held, so that the next class is not infeasible by rounding."""

NEGLIGIBLE = LINEAR_TOLERANCE
"""A bound that is overstepped by no more than this (relative above 1) counts as met: moving it needs no word."""

ABSOLUTE_GAP = 1e-6
"""How exactly the violation of a class is minimized, in the unit of its bounds."""


@dataclass(frozen=True, slots=True)
class RelaxedBound:
    """One bound that was relaxed, in its own unit.

    class_violation: by how much the bounds of its class were relaxed in total; class_proven: no portfolio needs less.
    The two agree where the proof was closed within the work limit.
    """

    constraint_id: str
    type: ConstraintType
    direction: Literal["increase", "decrease"]
    old: float
    new: float
    class_violation: float
    class_proven: float


@dataclass(frozen=True, slots=True)
class Relaxed:
    """The moved limits, what moved in the order of relaxation (lowest priority first), a portfolio that keeps them.

    limits may differ from what was asked by up to `NEGLIGIBLE` without a word in bounds.
    """

    limits: Limits
    bounds: tuple[RelaxedBound, ...]
    weights: FloatArray
    effort: Effort


def relax_minimally(
    problem: PortfolioProblem, limits: Limits, backend: SolverBackend, control: SolveControl
) -> Relaxed:
    """All classes together may use the work limit, each an equal share. Raises Cancelled when told to stop."""
    search = _MinimalRelaxation(problem, limits, backend, control)
    search.relax_losses()
    search.relax_cvar()
    for constraint_class in reversed(RELAXATION_ORDER):
        if constraint_class not in ("p_loss_max", "cvar_max"):
            search.relax_linear(constraint_class)
    return search.result()


class _MinimalRelaxation:
    """What has been decided so far: `limits` with loss count and CVaR moved, linear classes enforced or elastic."""

    def __init__(
        self, problem: PortfolioProblem, limits: Limits, backend: SolverBackend, control: SolveControl
    ) -> None:
        self.problem = problem
        self.limits = limits
        self.backend = backend
        self.constraints = problem.linear_constraints(limits)
        classes = 2 + len({c.type for c in self.constraints})
        share = max(1, control.work_limit // classes)
        self.control = replace(control, work_limit=share, relative_gap=0.0, absolute_gap=ABSOLUTE_GAP)
        self.enforced: list[LinearConstraint] = []
        self.elastic: list[LinearConstraint] = []
        self.held: dict[ConstraintType, float] = {}
        self.proven: dict[ConstraintType, float] = {}
        self.bounds: list[RelaxedBound] = []
        self.weights = np.full(problem.n_columns, 1.0 / problem.n_columns)
        self.effort = Effort()

    def relax_losses(self) -> None:
        """The least number of losing scenarios, every other limit left out."""
        asked = self.limits.max_losses
        achieved = loss_count(self._multiples())
        found = least_losses(self._with_losses, self.control, least=asked, achieved=achieved, first=asked)
        if found.achieved > asked:
            self.limits = replace(self.limits, max_losses=found.achieved)
            old = self.problem.config.max_loss_probability
            new, least = found.achieved / self.problem.n_scenarios, found.proven / self.problem.n_scenarios
            self._moved("p_loss_max", "p_loss_max", old=old, new=new, violation=new - old, proven=max(0.0, least - old))

    def _with_losses(self, max_losses: int, control: SolveControl) -> Attempt:
        step = replace(self._step(None, "absent"), limits=replace(self.limits, max_losses=max_losses))
        outcome = self._solve(step, control)
        losses = None if outcome.x is None else loss_count(self._multiples())
        return Attempt(losses, outcome.status == "infeasible", outcome.work)

    def relax_cvar(self) -> None:
        violation, proven = self._minimize(self._step("cvar_max", "elastic"))
        if violation > HELD_TOLERANCE:
            old = self.limits.cvar_limit
            new = old + violation + HELD_TOLERANCE
            self.limits = replace(self.limits, cvar_limit=new)
            self._moved("cvar_max", "cvar_max", old=old, new=new, violation=violation, proven=proven)

    def relax_linear(self, constraint_class: ConstraintType) -> None:
        members = [c for c in self.constraints if c.type == constraint_class]
        if not members:
            return
        before = list(self.elastic)
        self.elastic += members
        violation, proven = self._minimize(self._step(constraint_class, "enforced"))
        if violation > HELD_TOLERANCE:
            self.held[constraint_class] = violation + HELD_TOLERANCE
            self.proven[constraint_class] = proven
        else:
            self.elastic = before
            self.enforced += members

    def result(self) -> Relaxed:
        limits = self.limits
        for constraint_id, violation in self._step(None, "enforced").slacks(self.weights).items():
            if violation <= HELD_TOLERANCE:
                continue
            constraint = next(c for c in self.elastic if c.constraint_id == constraint_id)
            limits, new = moved_by(limits, constraint, violation + HELD_TOLERANCE)
            self._moved(
                constraint_id,
                constraint.type,
                old=constraint.bound,
                new=new,
                violation=self.held[constraint.type] - HELD_TOLERANCE,
                proven=self.proven[constraint.type],
            )
        order = {name: position for position, name in enumerate(RELAXATION_ORDER)}
        self.bounds.sort(key=lambda bound: (order[bound.type], bound.constraint_id))
        return Relaxed(limits, tuple(self.bounds), self.weights, self.effort)

    def _step(self, minimize: ConstraintType | None, cvar: CvarRole) -> ElasticStep:
        return ElasticStep(
            self.problem,
            self.limits,
            tuple(self.enforced),
            tuple(self.elastic),
            dict(self.held),
            minimize,
            cvar,
        )

    def _minimize(self, step: ElasticStep) -> tuple[float, float]:
        """The smallest total violation found, and what is proven to be needed."""
        outcome = self._solve(step, self.control)
        x = step.point(self.weights, self._cvar())
        violation = max(0.0, -dot(step.program().objective, x))
        return violation, min(violation, max(0.0, -outcome.bound))

    def _solve(self, step: ElasticStep, control: SolveControl) -> SolveOutcome:
        """Solve from the portfolio at hand and keep the one that is found."""
        outcome = self.backend.maximize(step.program(), control, step.point(self.weights, self._cvar()))
        self.effort += outcome.effort
        if outcome.x is not None:
            self.weights = normalize_weights(outcome.x[: self.problem.n_columns])
        return outcome

    def _multiples(self) -> FloatArray:
        return combination(self.weights, self.problem.moic)

    def _cvar(self) -> float:
        return loss_tail(self._multiples(), self.limits.cvar_confidence).value

    def _moved(
        self,
        constraint_id: str,
        constraint_class: ConstraintType,
        *,
        old: float,
        new: float,
        violation: float,
        proven: float,
    ) -> None:
        if abs(new - old) > NEGLIGIBLE * max(1.0, abs(old)):
            direction: Literal["increase", "decrease"] = "increase" if new > old else "decrease"
            self.bounds.append(RelaxedBound(constraint_id, constraint_class, direction, old, new, violation, proven))


def moved_by(limits: Limits, constraint: LinearConstraint, amount: float) -> tuple[Limits, float]:
    """The limits with that one bound moved out of the way, and where it is now; beyond 0 or 1 there is no need.

    amount: in the bound's own unit.
    """
    new = max(0.0, constraint.bound - amount) if constraint.is_minimum else min(1.0, constraint.bound + amount)
    name = constraint.constraint_id.partition(":")[2]
    if constraint.type == "expected_winners_min":
        return replace(limits, min_expected_winners=new), new
    if constraint.type == "bucket_max_weight":
        return replace(limits, bucket_max_weight=new), new
    side = "min" if constraint.is_minimum else "max"
    if constraint.type.startswith("sector"):
        moved = limits.sector_bounds[name].model_copy(update={side: new})
        return replace(limits, sector_bounds={**limits.sector_bounds, name: moved}), new
    stage = Stage(name)
    moved = limits.stage_bounds[stage].model_copy(update={side: new})
    return replace(limits, stage_bounds={**limits.stage_bounds, stage: moved}), new
