"""Bounds of each scenario's multiple over the points that would still be an improvement.

Reduced costs (of the LP's optimum v, with the cut-off c): moving the j-th nonbasic variable by t_j >= 0 off its bound
costs d_j t_j, and all moves together may cost no more than c - v. So the least multiple of scenario s is

    multiple_s(x) - max { sum_j e_j t_j : sum_j d_j t_j <= c - v, 0 <= t_j <= range_j },   e_j = -d multiple_s / d t_j

a fractional knapsack, filled in the order of e_j / d_j. Where it is at least the threshold of a loss, s cannot lose;
where the largest multiple, likewise, is below, it cannot help losing; else it is the floor in the chance cut.
Such decisions hold for that cut-off, hence for that objective and that incumbent only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.arrays import FloatArray, IntArray
from core.jit import inlined, kernel
from core.solver.branch_and_bound.bounds.decisions import Decisions
from core.solver.branch_and_bound.cuts.scenarios import Scenarios
from core.solver.branch_and_bound.lp.dual_simplex import certified_objective
from core.solver.branch_and_bound.lp.tableau import ROWS, WORK, Lp, combination_work
from core.solver.branch_and_bound.lp.vectors import add_rows
from core.solver.program import LOSS_THRESHOLD

BOUND_MARGIN = 1e-7
"""Bounds are trusted only beyond this."""
WORTHWHILE = 0.02
"""A floor raised by so much is worth another round of cuts."""
SMALLEST_DEPTH = 1e-3
"""A gain is at most 1 / this: larger ones would only make the rows ill-conditioned."""


@inlined
def gain_of(is_free: bool, floor: float) -> float:
    """1 / (threshold - floor) of a free scenario, 0 of a decided one."""
    return 1.0 / max(LOSS_THRESHOLD - floor, SMALLEST_DEPTH) if is_free else 0.0


@inlined
def gains(decisions: Decisions, gain: FloatArray) -> None:
    for s in range(len(gain)):
        gain[s] = gain_of(not (decisions.required[s] or decisions.lost[s]), decisions.floor[s])


class Moves(NamedTuple):
    """What moving each nonbasic variable off its bound means, all (n,).

    direction: which way, 0 for fixed; per_cost: one over the price of a unit, 0 where it is free; cost: of moving as
    far as its width and the slack allow; free: how far it moves at no cost; any_free: whether one does.
    """

    direction: FloatArray
    per_cost: FloatArray
    cost: FloatArray
    free: FloatArray
    any_free: bool


@inlined
def moves_within(lp: Lp, slack: float) -> Moves:
    n = len(lp.cost)
    direction, per_cost, cost, free = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    any_free = False
    for j in range(n):
        v = lp.nonbasic[j]
        width = lp.upper[v] - lp.lower[v]
        direction[j] = 0.0 if width < 1e-14 else (-1.0 if lp.at_upper[j] else 1.0)
        price = max(0.0, direction[j] * lp.reduced[j])
        if price > 1e-12:
            per_cost[j] = 1.0 / price
            cost[j] = min(width * price, slack)
        else:
            free[j] = width
            any_free = any_free or width * direction[j] != 0.0
    return Moves(direction, per_cost, cost, free, any_free)


@inlined
def multiple_line(lp: Lp, payoff: FloatArray, column_lines: IntArray, weights: FloatArray, line: FloatArray) -> None:
    """The multiple's dependence on the nonbasic variables, into line (n,).

    column_lines: those of basic columns; weights: as many, to work in.
    """
    n = len(lp.cost)
    for j in range(n):
        v = lp.nonbasic[j]
        line[j] = payoff[v] if v < n else 0.0
    for k in range(len(column_lines)):
        weights[k] = payoff[lp.basic[column_lines[k]]]
    add_rows(line, lp.tableau, column_lines, weights)


@kernel
def largest_move(line: FloatArray, sign: float, moves: Moves, slack: float, enough: float, ratio: FloatArray) -> float:
    """By how much sign * line can grow for `slack` of the objective, the fractional knapsack; or `enough` and more.

    ratio: (n,) to work in.
    """
    for j in range(len(line)):
        ratio[j] = max(0.0, sign * line[j] * moves.direction[j])
    moved = 0.0
    if moves.any_free:
        for j in range(len(line)):
            moved += ratio[j] * moves.free[j]
    for j in range(len(line)):
        ratio[j] *= moves.per_cost[j]
    left = slack
    while left > 0.0 and moved < enough:
        best, most = -1, 0.0
        for j in range(len(ratio)):
            if ratio[j] > most:
                best, most = j, ratio[j]
        if best < 0:
            break
        spent = min(left, moves.cost[best])
        moved += most * spent
        left -= spent
        ratio[best] = 0.0
    return moved


@kernel
def reduced_cost_fixing(
    lp: Lp,
    scenarios: Scenarios,
    multiples: FloatArray,
    cutoff: float,
    decisions: Decisions,
    below: float,
) -> int:
    """Raise floors and decide scenarios by reduced costs; how many changed by enough to matter.

    multiples: (S,) at the dictionary's solution. decisions: changed in place. below: only of scenarios whose multiple
    there is below this, all of them for infinity.
    """
    slack = cutoff - certified_objective(lp)
    if slack == np.inf:
        return 0
    n, (required, lost, floor) = len(lp.cost), decisions
    moves = moves_within(lp, max(slack, 0.0))
    line, ratio = np.empty(n), np.empty(n)
    column_lines, n_lines = np.empty(n, dtype=np.int64), 0
    for i in range(lp.counts[ROWS]):
        if lp.basic[i] < n:
            column_lines[n_lines] = i
            n_lines += 1
    column_lines = column_lines[:n_lines]
    weights = np.empty(n_lines)
    changed = 0
    for s in range(len(multiples)):
        if required[s] or lost[s] or multiples[s] >= below:
            continue
        multiple_line(lp, scenarios.payoffs[s], column_lines, weights, line)
        lp.counts[WORK] += combination_work(lp)
        here = multiples[s] - BOUND_MARGIN
        least = here - largest_move(line, -1.0, moves, slack, here - floor[s], ratio)
        if least >= LOSS_THRESHOLD:
            required[s] = True
            changed += 1
        elif multiples[s] < LOSS_THRESHOLD:
            enough = LOSS_THRESHOLD - (multiples[s] + BOUND_MARGIN)
            if largest_move(line, 1.0, moves, slack, enough, ratio) < enough:
                lost[s] = True
                changed += 1
        if least > floor[s]:
            changed += least > floor[s] + WORTHWHILE
            floor[s] = least
    return changed
