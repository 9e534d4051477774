"""What binds, and what it costs: the expected MOIC that one more unit of each limit would bring.

Linear limits and CVaR: the one-sided dual of the primary solve's linear program, with the scenarios that may lose fixed
(`core.solver.one_sided_dual`). It is a slope, which the next kink may end; so that program is solved with the limit a
whole step looser, too. With other scenarios losing, more may be gained. The number of losing scenarios has no dual: the
primary solve is solved again with one more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from core.arrays import FloatArray
from core.portfolio.limits import Limits
from core.portfolio.problem import PortfolioProblem
from core.portfolio.relax import moved_by
from core.solver.effort import Effort
from core.solver.feasibility import loss_count, multiples, worst_scenarios
from core.solver.one_sided_dual import FixedLosses, Loosening
from core.solver.program import ChanceProgram, SolveControl, SolveOutcome, SolverBackend
from core.solver.work import LimitReached, WorkMeter

PriceBasis = Literal["dual_with_fixed_losses", "one_more_losing_scenario"]

NEGLIGIBLE = 1e-9
"""Gains per unit below this are rounding: the limit holds nothing back."""

LEAST_SHARE = 0.1
"""Of the work limit: what a re-solve may always use, however quick the primary solve was."""


STEP, STEP_OF_WINNERS = 0.01, 0.1
"""How people move limits: by percentage points, and by tenths of an expected winner."""


@dataclass(frozen=True, slots=True)
class ShadowPrice:
    """Expected MOIC gained per unit of the limit (fraction, companies); per 1.0 of loss probability, too.

    gain: expected MOIC gained by a whole step, in the limit's unit; of the loss limit that is one scenario.
    gain_at_least, gain_at_most: what is proven of that gain; None where the losing scenarios were fixed.
    """

    basis: PriceBasis
    gain_per_unit: float
    step: float
    gain: float
    gain_at_least: float | None = None
    gain_at_most: float | None = None


@dataclass(frozen=True, slots=True)
class ShadowPrices:
    """by_constraint: of every limit, 0 where it holds nothing back; one that is missing was not settled within the work
    limit (`complete` False), or is a loss limit that does not bind."""

    by_constraint: dict[str, ShadowPrice]
    complete: bool
    effort: Effort


def binding_shadow_prices(
    problem: PortfolioProblem, limits: Limits, first: SolveOutcome, backend: SolverBackend, control: SolveControl
) -> ShadowPrices:
    """first: the primary solve's outcome, with an answer. Raises Cancelled when told to stop.

    Duals may use the work limit; the re-solve as much work as the primary solve took, or a tenth of the limit.
    """
    assert first.x is not None
    program = problem.program(limits)
    meter = WorkMeter(control)
    by_constraint: dict[str, ShadowPrice] = {}
    complete = True
    try:
        complete = _add_duals(by_constraint, problem, limits, x=first.x, meter=meter)
    except LimitReached:
        complete = False
    resolved = _one_more_loss(program, first, backend, control)
    if resolved is not None:
        outcome, by_constraint["p_loss_max"] = resolved
        return ShadowPrices(by_constraint, complete, meter.effort + outcome.effort)
    return ShadowPrices(by_constraint, complete, meter.effort)


def _add_duals(
    found: dict[str, ShadowPrice],
    problem: PortfolioProblem,
    limits: Limits,
    *,
    x: FloatArray,
    meter: WorkMeter,
) -> bool:
    """False when not every slope could be settled."""
    program = problem.program(limits)
    may_lose = worst_scenarios(multiples(program, x), limits.max_losses)
    fixed = FixedLosses.solved(program, may_lose, meter)
    if fixed is None:
        return False
    complete = True
    for constraint_id, step, loosening, looser in _loosenings(problem, limits):
        slope = fixed.gain(loosening, meter)
        if slope is not None and slope <= NEGLIGIBLE:
            found[constraint_id] = ShadowPrice("dual_with_fixed_losses", 0.0, step, 0.0)
            continue
        farther = None if slope is None else FixedLosses.solved(problem.program(looser), may_lose, meter)
        if slope is None or farther is None:
            complete = False
            continue
        # A concave function gains no more than its slope promises; beyond that it is rounding.
        gain = min(max(0.0, farther.objective - fixed.objective), slope * step)
        found[constraint_id] = ShadowPrice("dual_with_fixed_losses", slope, step, gain)
    return complete


def _loosenings(problem: PortfolioProblem, limits: Limits) -> Iterator[tuple[str, float, Loosening, Limits]]:
    """Of each limit: id, step, one unit of it as the primary solve's program has it, and the limits a step looser.

    The program's rows are the budget, then those of linear limits.
    """
    every = problem.linear_constraints(limits)
    rowed = [c for c in every if c.type != "bucket_max_weight"]
    still = np.zeros(1 + len(rowed)), np.zeros(problem.n_columns)
    looser_cvar = replace(limits, cvar_limit=limits.cvar_limit + STEP)
    yield "cvar_max", STEP, Loosening(*still, cvar=1.0), looser_cvar
    capped = next((c for c in every if c.type == "bucket_max_weight"), None)
    if capped is not None:
        loosening = Loosening(still[0], problem.size, cvar=0.0)
        yield capped.constraint_id, STEP, loosening, moved_by(limits, capped, STEP)[0]
    for position, constraint in enumerate(rowed, start=1):
        step = STEP_OF_WINNERS if constraint.type == "expected_winners_min" else STEP
        rows = np.zeros(1 + len(rowed))
        rows[position] = 1.0 / constraint.scale
        yield constraint.constraint_id, step, Loosening(rows, still[1], cvar=0.0), moved_by(limits, constraint, step)[0]


def _one_more_loss(
    program: ChanceProgram, first: SolveOutcome, backend: SolverBackend, control: SolveControl
) -> tuple[SolveOutcome, ShadowPrice] | None:
    """The program with one more losing scenario, from the answer at hand; None where the loss limit does not bind."""
    assert first.x is not None
    assert first.objective is not None
    n_scenarios = len(program.payoff_offset)
    if not loss_count(multiples(program, first.x)) == program.max_losses < n_scenarios:
        return None
    work_limit = max(1, min(control.work_limit, max(first.work, int(LEAST_SHARE * control.work_limit))))
    more = replace(program, max_losses=program.max_losses + 1)
    outcome = backend.maximize(more, replace(control, work_limit=work_limit), first.x)
    reached = first.objective if outcome.objective is None else max(first.objective, outcome.objective)
    gain = reached - first.objective
    price = ShadowPrice(
        "one_more_losing_scenario",
        gain_per_unit=gain * n_scenarios,
        step=1.0 / n_scenarios,
        gain=gain,
        gain_at_least=max(0.0, reached - first.bound),
        gain_at_most=max(gain, outcome.bound - first.objective),
    )
    return outcome, price
