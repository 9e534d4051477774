"""The solves that choose a portfolio within given limits: primary, tie-break, and least squares among what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np

from core.arrays import FloatArray
from core.errors import NoAnswerWithinLimit, SolverFailed
from core.portfolio.least_squares import least_squares
from core.portfolio.limits import Limits
from core.portfolio.problem import PortfolioProblem
from core.portfolio.strict import normalize_weights
from core.portfolio.tie_break import deviation, deviations, tie_break_program, weights_of, with_objective_floor
from core.solver.effort import Effort
from core.solver.feasibility import is_feasible
from core.solver.program import ChanceProgram, SolveControl, SolveOutcome, SolverBackend

PRIMARY_STEP = "primary solve"
"""The step whose objective is the expected MOIC."""
TIE_BREAK_STEP = "tie-break"
LEAST_SQUARES_STEP = "least squares"

NEGLIGIBLE_WEIGHT = 1e-9
"""Weights below this are rounding of the solver; a portfolio does not hold ten-billionths."""


class Timed(Protocol):
    """Says that a step begins, and keeps its seconds."""

    def __call__(self, name: str, solve: Callable[[], Any]) -> Any: ...


@dataclass(frozen=True, slots=True)
class Chosen:
    """columns: (n_columns,), normalized, the weights to use. first, second: the primary and the tie-break solve.

    deviation: sum_b |w_b - 1/B| of the columns; proven: the tie-break proved that none is closer. third: "unique"
    where the columns are the single least-squares point of those with the same losing scenarios, "failed" where
    rounding left the tie-break's, None where it was not asked for.
    """

    columns: FloatArray
    first: SolveOutcome
    second: SolveOutcome
    deviation: float
    proven: bool
    third: Literal["unique", "failed"] | None

    @property
    def first_objective(self) -> float:
        assert self.first.objective is not None
        return self.first.objective

    @property
    def effort(self) -> Effort:
        return self.first.effort + self.second.effort


@dataclass(frozen=True, slots=True)
class Passes:
    """epsilon: what the tie-break may give up of the expected MOIC. third: whether to ask for least squares."""

    problem: PortfolioProblem
    backend: SolverBackend
    control: SolveControl
    timed: Timed
    epsilon: float
    third: bool

    def primary(self, limits: Limits, start: FloatArray | None) -> SolveOutcome:
        """Raises NoAnswerWithinLimit unless there is an answer or a proof that there is none."""
        program = self.problem.program(limits)
        outcome: SolveOutcome = self.timed(PRIMARY_STEP, lambda: self.backend.maximize(program, self.control, start))
        if outcome.status != "infeasible" and (outcome.x is None or outcome.objective is None):
            raise NoAnswerWithinLimit(
                f"no portfolio was found within the work limit of {self.control.work_limit}; "
                "raise workLimit or loosen the limits"
            )
        return outcome

    def choose(self, limits: Limits, first: SolveOutcome) -> Chosen:
        """first: of the primary solve, with an answer."""
        chosen: Chosen = self.timed(TIE_BREAK_STEP, lambda: self._tie_break(limits, first))
        return self.timed(LEAST_SQUARES_STEP, lambda: self._least_squares(limits, chosen)) if self.third else chosen

    def _tie_break(self, limits: Limits, first: SolveOutcome) -> Chosen:
        """The tie-break solve; its weights if they stand up to the strict check, else the primary solve's."""
        assert first.x is not None
        assert first.objective is not None
        program, equal = self.problem.program(limits), self.problem.equal_weights
        floor = first.objective - self.epsilon
        start = deviations(first.x, equal)
        second = self.backend.maximize(tie_break_program(program, floor, equal), self.control, start)
        locked = with_objective_floor(program, floor)
        answers = [first.x] if second.x is None else [weights_of(second.x, equal), first.x]
        for position, answer in enumerate(answers):
            columns = _strictly_feasible(locked, answer)
            if columns is not None:
                proven = second.status == "optimal" and position == 0
                return Chosen(columns, first, second, deviation(columns, equal), proven, None)
        raise SolverFailed("the answer does not stand up to the strict check of its own constraints")

    def _least_squares(self, limits: Limits, chosen: Chosen) -> Chosen:
        problem = self.problem
        locked = with_objective_floor(problem.program(limits), chosen.first_objective - self.epsilon)
        found = least_squares(locked, problem.equal_weights, problem.size, chosen.columns)
        columns = None if found is None else _strictly_feasible(locked, found)
        if columns is None:
            return replace(chosen, third="failed")
        return replace(chosen, columns=columns, deviation=deviation(columns, problem.equal_weights), third="unique")


def _strictly_feasible(locked: ChanceProgram, answer: FloatArray) -> FloatArray | None:
    """The answer as weights, without what is rounding if that can be; None where it breaks a constraint."""
    for cleaned in (np.where(answer < NEGLIGIBLE_WEIGHT, 0.0, answer), answer):
        columns = normalize_weights(cleaned)
        if is_feasible(locked, columns):
            return columns
    return None
