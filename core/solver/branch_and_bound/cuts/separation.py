"""Rows for losses and CVaR, added only where the linear program's solution violates them.

Scenario row, for a scenario that must not lose:     offset_s + payoffs_s @ x >= level.

CVaR cut, for the tail omega that x has now:         sum_s omega_s (1 - multiple_s) <= cvar_limit + cvar_slack @ x.
    Valid for every x, since any other tail of the same size weighs no more; exact where it touches.

Chance cut, for the free scenarios T below the threshold t at x:
    sum_{s in T} gain_s (t - multiple_s) <= budget,  with gain_s = 1 / (t - floor_s), budget = K - (scenarios given up).
    A scenario that loses adds at most 1, any other at most 0. It is the projection on x of the textbook's program with
    z_s >= gain_s (t - multiple_s), 0 <= z_s <= 1, sum z <= budget, at its tightest for the floors at hand. Valid where
    the floors are.
"""

from __future__ import annotations

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.jit import inlined, kernel
from core.solver.branch_and_bound.cuts.scenarios import Scenarios, Tail, make_tail, read_multiples, worst_tail
from core.solver.branch_and_bound.lp.dual_simplex import FULL, OPTIMAL, PAUSED, objective, solve_lp
from core.solver.branch_and_bound.lp.tableau import (
    CHANCE_CUT,
    CVAR_CUT,
    ROWS,
    SCENARIO_ROW,
    WORK,
    Lp,
    add_row,
    drop_slack_rows,
    read_solution,
)
from core.solver.branch_and_bound.lp.vectors import add_rows, assign_quotient, largest_magnitude
from core.solver.program import LOSS_THRESHOLD

SCENARIO_ROWS_PER_ROUND = 8
CVAR_TOLERANCE = 1e-8
CHANCE_TOLERANCE = 1e-7
PIVOTS_PER_CALL = 2000
DROP_EVERY = 15
STALLED_GAIN = 1e-7


@kernel
def add_scaled(lp: Lp, row: FloatArray, low: float, kind: int, tag: int) -> None:
    """row @ x >= low, divided by the row's largest entry."""
    largest = largest_magnitude(row)
    divisor = largest if largest > 0.0 else 1.0
    scaled = np.empty(len(row))
    assign_quotient(scaled, row, divisor)
    add_row(lp, scaled, low / divisor, np.inf, kind, tag)


@inlined
def add_scenario(lp: Lp, scenarios: Scenarios, s: int, level: float) -> None:
    scale = scenarios.scale[s]
    row = np.empty(len(lp.cost))
    assign_quotient(row, scenarios.payoffs[s], scale)
    add_row(lp, row, (level - scenarios.offset[s]) / scale, np.inf, SCENARIO_ROW, s)


@inlined
def separate_scenarios(
    lp: Lp, scenarios: Scenarios, multiples: FloatArray, required: BoolArray, level: float, tolerance: float
) -> int:
    """Rows for the worst scenarios that must reach `level` and do not; how many. One that is there already is as good
    as the solver's resolution allows."""
    n = len(lp.cost)
    broken = 0
    for s in range(len(multiples)):
        broken += required[s] and multiples[s] < level - tolerance
    if broken == 0:
        lp.counts[WORK] += len(multiples)
        return 0
    open_to = required.copy()
    for i in range(lp.counts[ROWS]):
        if lp.kind[i] == SCENARIO_ROW:
            open_to[lp.tag[i]] = False
    added = 0
    while added < SCENARIO_ROWS_PER_ROUND:
        worst, least = -1, level - tolerance
        for s in range(len(multiples)):
            if open_to[s] and multiples[s] < least:
                worst, least = s, multiples[s]
        if worst < 0:
            break
        add_scenario(lp, scenarios, worst, level)
        open_to[worst] = False
        added += 1
    lp.counts[WORK] += (added + 1) * len(multiples) + added * n
    return added


@inlined
def separate_cvar(lp: Lp, scenarios: Scenarios, x: FloatArray, multiples: FloatArray, tail: Tail) -> bool:
    if scenarios.cvar_limit == np.inf:
        return False
    room = scenarios.cvar_limit
    for j in range(len(x)):
        room += scenarios.cvar_slack[j] * x[j]
    count, value, edge, share = worst_tail(scenarios, multiples, tail)
    if value <= room + CVAR_TOLERANCE:
        return False
    row, weights = scenarios.cvar_slack.copy(), tail.order[:count]
    low = -scenarios.cvar_limit
    for k in range(count):
        loss = tail.losses[k]
        weights[k] = (1.0 if loss > edge else (share if loss == edge else 0.0)) / scenarios.tail_size
        low += weights[k] * (1.0 - scenarios.offset[tail.places[k]])
    add_rows(row, scenarios.payoffs, tail.places[:count], weights)
    add_scaled(lp, row, low, CVAR_CUT, -1)
    lp.counts[WORK] += len(multiples) * len(x)
    return True


@inlined
def find_losing(multiples: FloatArray, gain: FloatArray, losing: IntArray) -> int:
    """The scenarios of a chance cut, free and below the threshold, into losing (S,); how many."""
    count = 0
    for s in range(len(multiples)):
        losing[count] = s
        count += multiples[s] < LOSS_THRESHOLD and gain[s] > 0.0
    return count


@inlined
def chance_row(scenarios: Scenarios, losing: IntArray, gain: FloatArray, budget: float, row: FloatArray) -> float:
    """The chance cut of the scenarios in `losing` into row; its lower bound."""
    for j in range(len(row)):
        row[j] = 0.0
    low = -budget
    for k in range(len(losing)):
        s = losing[k]
        low += gain[s] * (LOSS_THRESHOLD - scenarios.offset[s])
    add_rows(row, scenarios.payoffs, losing, gain[losing])
    if scenarios.phase1_slack >= 0:
        row[scenarios.phase1_slack] = 1.0
    return low


@inlined
def fractional_losses(multiples: FloatArray, losing: IntArray, gain: FloatArray) -> float:
    """The chance cut's left side: how many losses these scenarios are, in fractions."""
    total = 0.0
    for k in range(len(losing)):
        s = losing[k]
        total += gain[s] * (LOSS_THRESHOLD - multiples[s])
    return total


@inlined
def separate_chance(
    lp: Lp,
    scenarios: Scenarios,
    x: FloatArray,
    multiples: FloatArray,
    gain: FloatArray,
    budget: float,
    places: IntArray,
) -> bool:
    """places: (S,) to work in."""
    losing = places[: find_losing(multiples, gain, places)]
    granted = x[scenarios.phase1_slack] if scenarios.phase1_slack >= 0 else 0.0
    if fractional_losses(multiples, losing, gain) - budget - granted <= CHANCE_TOLERANCE * max(1.0, budget):
        return False
    row = np.empty(len(x))
    low = chance_row(scenarios, losing, gain, budget, row)
    add_scaled(lp, row, low, CHANCE_CUT, -1)
    lp.counts[WORK] += len(multiples) * len(x)
    return True


@kernel
def relax(
    lp: Lp,
    scenarios: Scenarios,
    required: BoolArray,
    gain: FloatArray,
    budget: float,
    level: float,
    tolerance: float,
    cutoff: float,
    patience: int,
    allowance: int,
    x: FloatArray,
    multiples: FloatArray,
) -> int:
    """Solve, cut off what breaks a constraint, and again; the solution in x and its multiples.

    required: (S,) held at `level` within `tolerance`; gain: (S,) of the chance cut, 0 for what is not in it.
    patience: rounds of cuts that gain nothing before the loop ends all the same. allowance: work after which the loop
    pauses; call again to go on.
    """
    end = lp.counts[WORK] + allowance
    rounds, stalled, before = 0, 0, -np.inf
    tail = make_tail(len(multiples))
    while True:
        verdict = solve_lp(lp, cutoff, PIVOTS_PER_CALL)
        if verdict != OPTIMAL:
            return verdict
        read_solution(lp, x)
        read_multiples(scenarios, x, multiples)
        lp.counts[WORK] += 2 * len(multiples) * 8
        if lp.counts[ROWS] + SCENARIO_ROWS_PER_ROUND + 2 > len(lp.kind):
            drop_slack_rows(lp)
            if lp.counts[ROWS] + SCENARIO_ROWS_PER_ROUND + 2 > len(lp.kind):
                return FULL
        rows = separate_scenarios(lp, scenarios, multiples, required, level, tolerance)
        cvar = separate_cvar(lp, scenarios, x, multiples, tail)
        chance = separate_chance(lp, scenarios, x, multiples, gain, budget, tail.places)
        if rows == 0 and not cvar and not chance:
            return OPTIMAL
        value = objective(lp)
        stalled = stalled + 1 if rows == 0 and value - before < STALLED_GAIN * (1.0 + abs(value)) else 0
        if stalled > patience:
            return OPTIMAL
        before = value
        rounds += 1
        if rounds % DROP_EVERY == 0 and stalled == 0:
            drop_slack_rows(lp)
        if lp.counts[WORK] > end:
            return PAUSED
