"""Bounds of each scenario's multiple over the points that would still be an improvement.

Reduced costs (of the LP's optimum v, with the cut-off c): moving the j-th nonbasic variable by t_j >= 0 off its bound
costs d_j t_j, and all moves together may cost no more than c - v. So the least multiple of scenario s is

    multiple_s(x) - max { sum_j e_j t_j : sum_j d_j t_j <= c - v, 0 <= t_j <= range_j },   e_j = -d multiple_s / d t_j

a fractional knapsack, filled in the order of e_j / d_j. Where it is at least the threshold of a loss, s cannot lose;
where the largest multiple, likewise, is below, it cannot help losing; else it is the floor in the chance cut.
Such verdicts hold for that cut-off, hence for that objective and that incumbent only.
"""

from __future__ import annotations

import numpy as np

from core.arrays import BoolArray, FloatArray
from core.solver.branch_and_bound.compiling import kernel
from core.solver.branch_and_bound.cuts import THRESHOLD
from core.solver.branch_and_bound.dual_simplex import certified_objective
from core.solver.branch_and_bound.scenarios import Scenarios
from core.solver.branch_and_bound.tableau import ROWS, WORK, Lp

SAFETY = 1e-7
"""Bounds are trusted only beyond this."""
WORTHWHILE = 0.02
"""A floor raised by so much is worth another round of cuts."""
SMALLEST_DEPTH = 1e-3
"""A gain is at most 1 / this: larger ones would only make the rows ill-conditioned."""


@kernel
def gains(must: BoolArray, lost: BoolArray, floor: FloatArray, gain: FloatArray) -> None:
    """1 / (threshold - floor) of the free scenarios, 0 of the decided ones."""
    for s in range(len(gain)):
        gain[s] = 0.0 if must[s] or lost[s] else 1.0 / max(THRESHOLD - floor[s], SMALLEST_DEPTH)


@kernel
def cheap_moves(lp: Lp, slack: float, price: FloatArray, room: FloatArray, direction: FloatArray) -> None:
    """Per nonbasic variable: what moving it costs, how far it may, and which way (0: fixed)."""
    for j in range(len(lp.cost)):
        v = lp.nonbasic[j]
        width = lp.upper[v] - lp.lower[v]
        direction[j] = 0.0 if width < 1e-14 else (-1.0 if lp.at_upper[j] else 1.0)
        price[j] = max(0.0, direction[j] * lp.reduced[j])
        room[j] = width
        if price[j] > 1e-12:
            room[j] = min(width, slack / price[j])


@kernel
def multiple_line(lp: Lp, payoff: FloatArray, line_of: np.ndarray, line: FloatArray) -> None:
    """The multiple's dependence on the nonbasic variables, into line (n,)."""
    n = len(lp.cost)
    for j in range(n):
        v = lp.nonbasic[j]
        line[j] = payoff[v] if v < n else 0.0
    for k in range(n):
        if line_of[k] >= 0 and payoff[k] != 0.0:
            a = payoff[k]
            source = lp.tableau[line_of[k]]
            for j in range(n):
                line[j] += a * source[j]


@kernel
def largest_move(
    line: FloatArray, sign: float, slack: float, price: FloatArray, room: FloatArray, direction: FloatArray
) -> float:
    """By how much sign * line can grow for `slack` of the objective: the fractional knapsack."""
    n = len(line)
    free = 0.0
    ratio = np.empty(n)
    count = 0
    for j in range(n):
        gain = sign * line[j] * direction[j]
        ratio[j] = 0.0
        if gain > 1e-12:
            if price[j] <= 1e-12:
                free += gain * room[j]
            else:
                ratio[j] = gain / price[j]
                count += 1
    left = slack
    for _ in range(count):
        best = 0
        for j in range(1, n):
            if ratio[j] > ratio[best]:
                best = j
        spent = min(left, room[best] * price[best])
        free += ratio[best] * spent
        left -= spent
        ratio[best] = 0.0
        if left <= 0.0:
            break
    return free


@kernel
def tighten(
    lp: Lp,
    scenarios: Scenarios,
    multiples: FloatArray,
    cutoff: float,
    floor: FloatArray,
    must: BoolArray,
    lost: BoolArray,
) -> int:
    """Raise floors and decide scenarios by reduced costs; how many changed by enough to matter.

    multiples: (S,) at the dictionary's solution. floor, must, lost: (S,), changed in place.
    """
    slack = cutoff - certified_objective(lp)
    if slack == np.inf:
        return 0
    n = len(lp.cost)
    price, room, direction, line = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    cheap_moves(lp, max(slack, 0.0), price, room, direction)
    line_of = np.full(n, -1, dtype=np.int64)
    for i in range(lp.counts[ROWS]):
        if lp.basic[i] < n:
            line_of[lp.basic[i]] = i
    changed = 0
    for s in range(len(multiples)):
        if must[s] or lost[s]:
            continue
        multiple_line(lp, scenarios.payoffs[s], line_of, line)
        lp.counts[WORK] += n * n
        least = multiples[s] - largest_move(line, -1.0, slack, price, room, direction) - SAFETY
        if least >= THRESHOLD:
            must[s] = True
            changed += 1
        elif multiples[s] < THRESHOLD:
            most = multiples[s] + largest_move(line, 1.0, slack, price, room, direction) + SAFETY
            if most < THRESHOLD:
                lost[s] = True
                changed += 1
        if least > floor[s]:
            changed += least > floor[s] + WORTHWHILE
            floor[s] = least
    return changed
