"""The whole optimization of one session: primary solve, relaxation where needed, tie-break, strict check, report.

Where the scenarios come with expectations of their own, exchangeable buckets share equally, a third solve leaves one
portfolio of those as good, and the sampled limits are tightened until they hold in scenarios not chosen on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from core.arrays import FloatArray
from core.errors import Infeasible
from core.matrix.scenario_set import Scenarios, ScenarioSet
from core.portfolio.audit import audit_of
from core.portfolio.conflict import ConflictExplanation, explain_conflict
from core.portfolio.exchangeable import split_by_bounds
from core.portfolio.limits import Limits
from core.portfolio.passes import PRIMARY_STEP, Chosen, Passes
from core.portfolio.problem import ConstraintType, PortfolioProblem
from core.portfolio.relax import Relaxed, RelaxedBound, relax_minimally
from core.portfolio.relaxation_explanation import explain_relaxation
from core.portfolio.report import ConstraintStatus, constraint_report
from core.portfolio.shadow_prices import ShadowPrices, binding_shadow_prices
from core.portfolio.strict import StrictFigures, evaluate
from core.portfolio.tightening import EstimateRisk, Tightened, tighten
from core.portfolio.true_gap import TrueGap, best_without_risk_limits, true_gap
from core.portfolio.uniqueness import Uniqueness, only_as_close
from core.request.normalized_config import NormalizedConfig
from core.solver.effort import Effort
from core.solver.program import SolveControl, SolveOutcome, SolverBackend


@dataclass(frozen=True, slots=True)
class Optimum:
    """weights: (B,), normalized, in bucket-key order. limits: those asked for, moved by `relaxations`.

    relaxations: with a sentence for each in `explanations`. conflict: why the limits as asked cannot be met, or None.
    asked_bound: no portfolio within the limits before they were tightened is better on the scenarios chosen on.
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
    asked_bound: float
    audit: dict[str, Any]


def optimize(
    config: NormalizedConfig,
    scenarios: Scenarios,
    backend: SolverBackend,
    control: SolveControl,
    *,
    clock: Callable[[], float],
    stage: Callable[[str], None] = lambda _name: None,
    start: FloatArray | None = None,
    explain: bool = True,
    estimate: EstimateRisk | None = None,
) -> Optimum:
    """Maximize expected MOIC within the limits of `config`.

    clock: seconds, for the audit only. stage: told "primary solve", "conflict", "relaxation", "tie-break",
    "least squares", "uniqueness", "prices" and "bound" as they begin. start: weights (B,) to start from. explain: say
    why limits conflict, whether the answer is the only one, and what limits that bind cost. estimate: the risk of
    weights in scenarios they are not chosen on, to tighten limits by; None: they are enforced as asked.
    Raises Infeasible (relaxation off), NoAnswerWithinLimit, Cancelled.
    """
    solve = _Solve(config, scenarios, backend, control, _Clock(clock, stage))
    return solve.run(start, explain=explain, estimate=estimate)


class _Clock:
    """Tells each step as it begins, and adds up its seconds."""

    def __init__(self, clock: Callable[[], float], stage: Callable[[str], None]) -> None:
        self._clock, self._stage = clock, stage
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, solve: Callable[[], Any]) -> Any:
        self._stage(name)
        began = self._clock()
        result = solve()
        self.seconds[name] = self.seconds.get(name, 0.0) + self._clock() - began
        return result


class _Solve:
    """One optimization. problem: in the columns that were decided on."""

    def __init__(
        self,
        config: NormalizedConfig,
        scenarios: Scenarios,
        backend: SolverBackend,
        control: SolveControl,
        timed: _Clock,
    ) -> None:
        self.config, self.scenarios, self.backend, self.control, self.timed = config, scenarios, backend, control, timed
        self.by_distribution = scenarios.expectations is not None
        self.asked = Limits.of(config, scenarios.n_scenarios)
        self.effort = Effort()
        self._take(scenarios)
        if scenarios.exchangeable:
            self._take(self._grouping())

    def _take(self, scenarios: Scenarios) -> None:
        self.problem = PortfolioProblem.of(self.config, scenarios)
        self.passes = Passes(
            self.problem,
            self.backend,
            self.control,
            self.timed,
            epsilon=self.config.primary_lock_epsilon,
            third=self.by_distribution,
        )

    def _grouping(self) -> Scenarios:
        """Sectors of one distribution share equally whatever their bounds, where that costs nothing of the expected
        MOIC that limits of weights and winners leave; where it does, only those with equal bounds."""
        apart = self._apart()
        if len(apart.exchangeable) == len(self.scenarios.exchangeable):
            return self.scenarios
        together = best_without_risk_limits(self.problem, self.asked, self.control)
        alone = best_without_risk_limits(PortfolioProblem.of(self.config, apart), self.asked, self.control)
        if alone is None:
            return self.scenarios  # nothing is attainable in either form: what is relaxed then is so for all of them
        return self.scenarios if together is not None and together >= alone - COSTS_NOTHING else apart

    def _apart(self) -> Scenarios:
        groups = split_by_bounds(tuple(self.scenarios.exchangeable), self.config)
        return ScenarioSet.regrouped(self.scenarios, groups)

    def _first_apart(self, together: SolveOutcome) -> SolveOutcome:
        """What sectors with unequal bounds cannot do together they may do apart. Where no such portfolio is found with
        as much work again, they stay together, and the limits count as unattainable for them."""
        apart = PortfolioProblem.of(self.config, self._apart())
        if len(apart.groups) == len(self.problem.groups):
            return together
        work = max(together.work, int(APART_SHARE * self.control.work_limit))
        control = replace(self.control, work_limit=max(1, work))
        found = self.timed(PRIMARY_STEP, lambda: self.backend.maximize(apart.program(self.asked), control, None))
        self.effort += found.effort
        if found.x is None:
            return together
        self._take(self._apart())
        outcome = self.passes.primary(self.asked, found.x)
        self.effort += outcome.effort
        return outcome

    def run(self, start: FloatArray | None, *, explain: bool, estimate: EstimateRisk | None) -> Optimum:
        conflict: ConflictExplanation | None = None
        relaxations: tuple[RelaxedBound, ...] = ()
        limits, problem = self.asked, self.problem
        first = self.passes.primary(limits, None if start is None else problem.column_weights(start))
        self.effort = first.effort
        if first.status == "infeasible" and self.scenarios.exchangeable:
            first = self._first_apart(first)
            problem = self.problem
        if first.status == "infeasible":
            if explain:
                conflict = self.timed("conflict", lambda: explain_conflict(problem, limits, self.backend, self.control))
            if self.config.relaxation_mode == "off":
                raise Infeasible(str(conflict or "no portfolio satisfies every limit"))
            self.effort += conflict.effort if conflict else Effort()
            relaxed: Relaxed = self.timed(
                "relaxation", lambda: relax_minimally(problem, self.asked, self.backend, self.control)
            )
            limits, relaxations = relaxed.limits, relaxed.bounds
            first = self.passes.primary(limits, relaxed.weights)
            self.effort += relaxed.effort + first.effort
        chosen = self.passes.choose(limits, first)
        self.effort += chosen.second.effort
        tightened: Tightened | None = None
        if estimate is not None and not relaxations:
            tightened = tighten(self.passes, limits, self.config.max_loss_probability, chosen, estimate)
            chosen = tightened.chosen
            self.effort += tightened.effort
        enforced = limits if tightened is None else tightened.limits
        return self._reported(
            chosen,
            limits,
            enforced,
            relaxations=relaxations,
            conflict=conflict,
            tightened=tightened,
            asked_bound=first.bound,
            explain=explain,
        )

    def _reported(
        self,
        chosen: Chosen,
        limits: Limits,
        enforced: Limits,
        *,
        relaxations: tuple[RelaxedBound, ...],
        conflict: ConflictExplanation | None,
        tightened: Tightened | None,
        asked_bound: float,
        explain: bool,
    ) -> Optimum:
        problem = self.problem
        prices: ShadowPrices | None = None
        uniqueness: Uniqueness | None = None
        gap: TrueGap | None = None
        if explain:
            if not self.by_distribution:
                uniqueness = self._uniqueness(chosen, enforced)
            prices = self.timed(
                "prices",
                lambda: binding_shadow_prices(problem, enforced, chosen.first, self.backend, self.control),
            )
            self.effort += prices.effort
            if self.by_distribution and not relaxations:
                gap = self._true_gap(chosen)
        weights = problem.bucket_weights(chosen.columns)
        figures = evaluate(weights, self.scenarios, self.config)
        assert chosen.first.x is not None
        return Optimum(
            weights=weights,
            figures=figures,
            limits=limits,
            relaxations=relaxations,
            explanations=_explanations(problem, relaxations),
            conflict=conflict,
            constraints=constraint_report(
                problem,
                limits,
                chosen.columns,
                figures,
                relaxations,
                prices=prices.by_constraint if prices else None,
                enforced=enforced,
            ),
            first_objective=chosen.first_objective,
            first_weights=problem.bucket_weights(chosen.first.x),
            asked_bound=asked_bound,
            audit=audit_of(
                chosen,
                problem,
                self.scenarios,
                weights,
                effort=self.effort,
                seconds=self.timed.seconds,
                uniqueness=uniqueness,
                prices_complete=None if prices is None else prices.complete,
                tightened=tightened,
                gap=gap,
                control=self.control,
            ),
        )

    def _uniqueness(self, chosen: Chosen, enforced: Limits) -> Uniqueness:
        floor = chosen.first_objective - self.config.primary_lock_epsilon
        found: Uniqueness = self.timed(
            "uniqueness",
            lambda: only_as_close(
                self.problem.program(enforced),
                floor,
                chosen.columns,
                self.backend,
                self.control,
                tie_break_work=chosen.second.work,
                proven=chosen.proven,
            ),
        )
        self.effort += found.effort
        return found

    def _true_gap(self, chosen: Chosen) -> TrueGap:
        everything = PortfolioProblem.of(self.config, ScenarioSet.regrouped(self.scenarios, ()))
        gap: TrueGap = self.timed(
            "bound",
            lambda: true_gap(
                everything,
                self.asked,
                max_loss_probability=self.config.max_loss_probability,
                weights=self.problem.bucket_weights(chosen.columns),
                backend=self.backend,
                control=self.control,
                independent=self.config.risk_scenarios is not None,
            ),
        )
        self.effort += gap.effort
        return gap


COSTS_NOTHING = 1e-9
"""Expected MOIC."""

APART_SHARE = 0.1
"""Of the work limit, at least, to look for a portfolio in which sectors with unequal bounds differ."""


def _explanations(problem: PortfolioProblem, relaxations: tuple[RelaxedBound, ...]) -> tuple[str, ...]:
    """A sentence for every bound that was relaxed."""
    asked = Limits.of(problem.config, problem.n_scenarios)
    linear = [c.type for c in problem.linear_constraints(asked)]
    classes: set[ConstraintType] = {*linear, "cvar_max", "p_loss_max"}
    return tuple(explain_relaxation(bound, relaxations, classes, problem.n_scenarios) for bound in relaxations)
