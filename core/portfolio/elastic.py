"""The program of one step of a relaxation: some limits enforced, some with a slack that is minimized or held."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from core.arrays import FloatArray
from core.portfolio.limits import Limits
from core.portfolio.problem import ConstraintType, LinearConstraint, PortfolioProblem
from core.solver.effort import Effort
from core.solver.program import ChanceProgram, Polytope, SolveControl, SolveOutcome, SolverBackend

CvarRole = Literal["absent", "enforced", "elastic"]


@dataclass(frozen=True, slots=True)
class ElasticStep:
    """One program over the weights and the slacks of what may be relaxed.

    enforced: held as they are. elastic: one slack column per bound (constraints with one id share it).
    held: what a class's slacks may sum to. minimize: the class whose slacks are the objective; None asks only for
    any feasible point, and looks for one where expected MOIC is high: cuts that have a direction need far fewer
    iterations to prove that there is none. cvar: absent, enforced at `limits.cvar_limit`, or elastic with a slack
    column of its own, the last.
    """

    problem: PortfolioProblem
    limits: Limits
    enforced: tuple[LinearConstraint, ...]
    elastic: tuple[LinearConstraint, ...]
    held: dict[ConstraintType, float]
    minimize: ConstraintType | None
    cvar: CvarRole

    @classmethod
    def enforcing(
        cls, problem: PortfolioProblem, limits: Limits, rows: Sequence[LinearConstraint], ids: Collection[str]
    ) -> ElasticStep:
        """Nothing but the constraints of these ids: those of `rows`, `cvar_max` and `p_loss_max`."""
        max_losses = limits.max_losses if "p_loss_max" in ids else problem.n_scenarios
        return cls(
            problem,
            replace(limits, max_losses=max_losses),
            enforced=tuple(row for row in rows if row.constraint_id in ids),
            elastic=(),
            held={},
            minimize=None,
            cvar="enforced" if "cvar_max" in ids else "absent",
        )

    @property
    def bounds(self) -> dict[str, LinearConstraint]:
        """The elastic bounds in column order, each by its id with one of its rows."""
        return {c.constraint_id: c for c in self.elastic}

    def program(self) -> ChanceProgram:
        """Columns: weights (B), a slack per elastic bound, the CVaR slack if elastic."""
        n, width = self.problem.n_columns, self._width
        budget = np.zeros(width)
        budget[:n] = 1.0
        rows, lower, upper = [budget], [1.0], [1.0]
        for constraint in (*self.enforced, *self.elastic):
            rows.append(self._row(constraint) / constraint.scale)
            low, high = constraint.scaled_bounds
            lower.append(low)
            upper.append(high)
        for constraint_class, total in self.held.items():
            rows.append(self._slacks_of(constraint_class))
            lower.append(-np.inf)
            upper.append(total)
        cvar_slack = np.zeros(width)
        cvar_slack[n + len(self.bounds) :] = 1.0
        slack_room = [max(1.0, c.bound) for c in self.bounds.values()]
        return ChanceProgram(
            objective=self._objective(),
            polytope=Polytope(
                rows=np.array(rows),
                row_lower=np.array(lower),
                row_upper=np.array(upper),
                lower=np.zeros(width),
                # No violation can be larger: weights are in [0, 1], winners at least 0, CVaR at most 1.
                upper=np.concatenate([np.ones(n), slack_room, np.ones(width - n - len(slack_room))]),
            ),
            payoffs=np.hstack([self.problem.moic.T, np.zeros((self.problem.n_scenarios, width - n))]),
            payoff_offset=np.zeros(self.problem.n_scenarios),
            max_losses=self.limits.max_losses,
            cvar_confidence=self.limits.cvar_confidence,
            cvar_limit=np.inf if self.cvar == "absent" else self.limits.cvar_limit,
            cvar_slack=cvar_slack,
        )

    def slacks(self, weights: FloatArray) -> dict[str, float]:
        """What each elastic bound has to give for these weights (B,)."""
        needed = dict.fromkeys(self.bounds, 0.0)
        for constraint in self.elastic:
            needed[constraint.constraint_id] = max(needed[constraint.constraint_id], constraint.violation(weights))
        return needed

    def point(self, weights: FloatArray, cvar: float) -> FloatArray:
        """Weights (B,) with the slacks that they need, given their CVaR; shape (columns,)."""
        extra = [max(0.0, cvar - self.limits.cvar_limit)] if self.cvar == "elastic" else []
        return np.concatenate([weights, list(self.slacks(weights).values()), extra])

    @property
    def _width(self) -> int:
        return self.problem.n_columns + len(self.bounds) + (1 if self.cvar == "elastic" else 0)

    def _row(self, constraint: LinearConstraint) -> FloatArray:
        n = self.problem.n_columns
        row = np.zeros(self._width)
        row[:n] = constraint.coefficients
        if constraint.constraint_id in self.bounds:
            column = n + list(self.bounds).index(constraint.constraint_id)
            row[column] = 1.0 if constraint.is_minimum else -1.0
        return row

    def _objective(self) -> FloatArray:
        if self.minimize is not None:
            return -self._slacks_of(self.minimize)
        return np.concatenate([self.problem.mean_moic, np.zeros(self._width - self.problem.n_columns)])

    def _slacks_of(self, constraint_class: ConstraintType) -> FloatArray:
        n, bounds = self.problem.n_columns, self.bounds
        row = np.zeros(self._width)
        row[n : n + len(bounds)] = [float(c.type == constraint_class) for c in bounds.values()]
        row[n + len(bounds) :] = float(constraint_class == "cvar_max")
        return row


class ElasticSearch:
    """The base of searches that solve many steps within one work limit: what is left of it, and what it came to."""

    def __init__(
        self, problem: PortfolioProblem, limits: Limits, backend: SolverBackend, control: SolveControl
    ) -> None:
        self.problem = problem
        self.limits = limits
        self.backend = backend
        self.control = control
        self.rows = tuple(problem.linear_constraints(limits))
        self.work_left = control.work_limit
        self.effort = Effort()

    def share(self, of: int) -> int:
        """An even share of the work that is left, among so many."""
        return max(1, self.work_left // of)

    def step(self, ids: Collection[str]) -> ElasticStep:
        return ElasticStep.enforcing(self.problem, self.limits, self.rows, ids)

    def solve(self, step: ElasticStep, control: SolveControl) -> SolveOutcome:
        outcome = self.backend.maximize(step.program(), control)
        self.work_left = max(0, self.work_left - outcome.work)
        self.effort += outcome.effort
        return outcome
