"""The whole optimization of one session: primary solve, relaxation where needed, tie-break, strict check, report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import FloatArray
from core.errors import Infeasible, NoAnswerWithinLimit, SolverFailed
from core.matrix.scenario_matrix import ScenarioMatrix
from core.portfolio.conflict import ConflictExplanation, explain_conflict
from core.portfolio.limits import Limits
from core.portfolio.problem import ConstraintType, PortfolioProblem
from core.portfolio.relax import Relaxed, RelaxedBound, relax_minimally
from core.portfolio.relaxation_explanation import explain_relaxation
from core.portfolio.report import ConstraintStatus, constraint_report
from core.portfolio.shadow_prices import ShadowPrices, binding_shadow_prices
from core.portfolio.strict import StrictFigures, evaluate, normalize_weights
from core.portfolio.tie_break import deviation, deviations, tie_break_program, weights_of, with_objective_floor
from core.portfolio.uniqueness import Uniqueness, only_as_close
from core.request.normalized_config import NormalizedConfig
from core.solver.effort import Effort
from core.solver.feasibility import is_feasible
from core.solver.program import ChanceProgram, SolveControl, SolveOutcome, SolverBackend

PRIMARY_STEP = "primary solve"
"""The step whose objective is the expected MOIC."""
NEGLIGIBLE_WEIGHT = 1e-9
"""Weights below this are rounding of the solver; a portfolio does not hold ten-billionths."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """weights: (B,), normalized, in bucket-key order. limits: those enforced, moved by `relaxations`.

    relaxations: with a sentence for each in `explanations`. conflict: why the limits as asked cannot be met, or None.
    first_objective: E*, the expected MOIC of the primary solve's weights, first_weights; the weights are within epsilon
    of it. audit: how the answer was found and how good it is proven to be, JSON-ready.
    """

    weights: FloatArray
    figures: StrictFigures
    limits: Limits
    relaxations: tuple[RelaxedBound, ...]
    explanations: tuple[str, ...]
    conflict: ConflictExplanation | None
    constraints: tuple[ConstraintStatus, ...]
    first_objective: float
    first_weights: FloatArray
    audit: dict[str, Any]


def optimize(
    config: NormalizedConfig,
    matrix: ScenarioMatrix,
    backend: SolverBackend,
    control: SolveControl,
    *,
    clock: Callable[[], float],
    stage: Callable[[str], None] = lambda _name: None,
    start: FloatArray | None = None,
    explain: bool = True,
) -> Optimum:
    """Maximize expected MOIC within the limits of `config`.

    clock: seconds, for the audit only. stage: told "primary solve", "conflict", "relaxation", "tie-break", "uniqueness"
    and "prices" as they begin. start: weights (B,) to start from. explain: say why limits conflict, whether the answer
    is the only one, and what limits that bind cost.
    Raises Infeasible (relaxation off), NoAnswerWithinLimit, Cancelled.
    """
    problem = PortfolioProblem.of(config, matrix)
    limits = Limits.of(config, matrix.n_scenarios)
    seconds: dict[str, float] = {}
    relaxations: tuple[RelaxedBound, ...] = ()
    conflict: ConflictExplanation | None = None

    def timed(name: str, solve: Callable[[], Any]) -> Any:
        stage(name)
        began = clock()
        result = solve()
        seconds[name] = seconds.get(name, 0.0) + clock() - began
        return result

    first: SolveOutcome = timed(PRIMARY_STEP, lambda: backend.maximize(problem.program(limits), control, start))
    effort = first.effort
    if first.status == "infeasible":
        if explain:
            conflict = timed("conflict", lambda: explain_conflict(problem, limits, backend, control))
        if config.relaxation_mode == "off":
            raise Infeasible(str(conflict or "no portfolio satisfies every limit"))
        effort += conflict.effort if conflict else Effort()
        relaxed: Relaxed = timed("relaxation", lambda: relax_minimally(problem, limits, backend, control))
        limits, relaxations = relaxed.limits, relaxed.bounds
        first = timed(PRIMARY_STEP, lambda: backend.maximize(problem.program(limits), control, relaxed.weights))
        effort += relaxed.effort + first.effort
    if first.x is None or first.objective is None:
        raise NoAnswerWithinLimit(
            f"no portfolio was found within the work limit of {control.work_limit}; "
            "raise workLimit or loosen the limits"
        )
    program = problem.program(limits)
    second: _SecondPass = timed("tie-break", lambda: _tie_break(program, first, config, backend, control))
    effort += second.outcome.effort
    prices: ShadowPrices | None = None
    uniqueness: Uniqueness | None = None
    if explain:
        floor = first.objective - config.primary_lock_epsilon
        uniqueness = timed(
            "uniqueness",
            lambda: only_as_close(
                program,
                floor,
                second.weights,
                backend,
                control,
                tie_break_work=second.outcome.work,
                proven=second.proven,
            ),
        )
        effort += uniqueness.effort
        prices = timed("prices", lambda: binding_shadow_prices(problem, limits, first, backend, control))
        effort += prices.effort
    figures = evaluate(second.weights, matrix, config)
    return Optimum(
        weights=second.weights,
        figures=figures,
        limits=limits,
        relaxations=relaxations,
        explanations=_explanations(problem, relaxations),
        conflict=conflict,
        constraints=constraint_report(
            problem, limits, second.weights, figures, relaxations, prices=prices.by_constraint if prices else None
        ),
        first_objective=first.objective,
        first_weights=first.x,
        audit=_audit(
            first,
            second,
            effort,
            seconds,
            unique=_unique(uniqueness, problem),
            prices_complete=None if prices is None else prices.complete,
            epsilon=config.primary_lock_epsilon,
            control=control,
        ),
    )


@dataclass(frozen=True, slots=True)
class _SecondPass:
    """weights: (B,), normalized, the ones to use. deviation: sum_b |w_b - 1/B| of them; proven: none is closer."""

    outcome: SolveOutcome
    weights: FloatArray
    deviation: float
    proven: bool


def _tie_break(
    program: ChanceProgram,
    first: SolveOutcome,
    config: NormalizedConfig,
    backend: SolverBackend,
    control: SolveControl,
) -> _SecondPass:
    """The tie-break solve; its weights if they stand up to the strict check, else the primary solve's."""
    assert first.x is not None
    assert first.objective is not None
    floor = first.objective - config.primary_lock_epsilon
    second = backend.maximize(tie_break_program(program, floor), control, deviations(first.x))
    locked = with_objective_floor(program, floor)
    answers = [first.x] if second.x is None else [weights_of(second.x), first.x]
    for position, answer in enumerate(answers):
        for cleaned in (np.where(answer < NEGLIGIBLE_WEIGHT, 0.0, answer), answer):
            weights = normalize_weights(cleaned)
            if is_feasible(locked, weights):
                return _SecondPass(second, weights, deviation(weights), second.status == "optimal" and position == 0)
    raise SolverFailed("the answer does not stand up to the strict check of its own constraints")


def _explanations(problem: PortfolioProblem, relaxations: tuple[RelaxedBound, ...]) -> tuple[str, ...]:
    """A sentence for every bound that was relaxed."""
    asked = Limits.of(problem.config, problem.n_scenarios)
    linear = [c.type for c in problem.linear_constraints(asked)]
    classes: set[ConstraintType] = {*linear, "cvar_max", "p_loss_max"}
    return tuple(explain_relaxation(bound, relaxations, classes, problem.n_scenarios) for bound in relaxations)


def _unique(uniqueness: Uniqueness | None, problem: PortfolioProblem) -> dict[str, Any]:
    """Whether the answer is the only one as close to equal weights; if not, where another one differs most."""
    witness = None if uniqueness is None else uniqueness.witness
    return {
        "unique": None if uniqueness is None else uniqueness.unique,
        "witness": None
        if witness is None
        else {
            "bucketId": problem.config.buckets[witness.bucket].bucket_id,
            "difference": witness.difference,
            "weights": witness.weights.tolist(),
        },
    }


def _audit(
    first: SolveOutcome,
    second: _SecondPass,
    effort: Effort,
    seconds: dict[str, float],
    *,
    unique: dict[str, Any],
    prices_complete: bool | None,
    epsilon: float,
    control: SolveControl,
) -> dict[str, Any]:
    return {
        "backend": first.backend,
        "fallback": first.fallback or second.outcome.fallback,
        "status": first.status,
        "objective": first.objective,
        "bound": first.bound,
        "gap": first.gap,
        "nodes": effort.nodes,
        "work": effort.work,
        "reproducible": effort.reproducible,
        "pass1Seconds": seconds["primary solve"],
        "pass2Seconds": seconds["tie-break"],
        "relaxationSeconds": seconds.get("relaxation"),
        "conflictSeconds": seconds.get("conflict"),
        "uniquenessSeconds": seconds.get("uniqueness"),
        "pricesSeconds": seconds.get("prices"),
        "pricesComplete": prices_complete,
        "tieBreak": {
            "proven": second.proven,
            "deviation": second.deviation,
            "deviationBound": -second.outcome.bound,
            "primaryLockEpsilon": epsilon,
            **unique,
        },
        "settings": {
            "relativeGap": control.relative_gap,
            "workLimit": control.work_limit,
            "threads": 1,
            "seed": 42,
        },
    }
