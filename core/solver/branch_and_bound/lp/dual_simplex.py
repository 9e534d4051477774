"""The dual simplex with bound flipping, whose verdicts carry certificates.

Whatever the dictionary has become by rounding, multipliers y of the rows bound the objective on the rows as they were
given: with residual r = cost - y @ rows,

    cost @ x  >=  sum_i min(y_i lower_i, y_i upper_i) + sum_j min(r_j lower_j, r_j upper_j)

since every bound is finite. A cut-off counts only with such a bound beyond it, and "infeasible" only when the same
inequality for a violated row (or column) in place of the cost contradicts its bound.

The same inequality lets reduced costs be perturbed against cycling: what that costs is in the bound.

Sources: Fourer (1994) and Maros (2003), bound flipping; Koberstein (2005), perturbed costs; Neumaier and Shcherbina
(2004), safe bounds in linear and mixed-integer programming.
"""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray, IntArray
from core.jit import inlined, kernel
from core.solver.branch_and_bound.lp.tableau import (
    ROWS,
    SINCE_REBUILD,
    WORK,
    Lp,
    combination_work,
    nonbasic_value,
    perturb_costs,
    pivot,
    rebuild,
    refresh_values,
)
from core.solver.branch_and_bound.lp.vectors import assign_product, largest_magnitude

OPTIMAL, INFEASIBLE, CUT_OFF, PAUSED, UNPROVEN, FULL = 0, 1, 2, 3, 4, 5
"""Verdicts. PAUSED: more pivots are needed; UNPROVEN: rounding lost the proof; FULL: no room for another row."""

PRIMAL_TOLERANCE = 1e-10
ZERO_PIVOT = 1e-9
"""Smaller entries are taken for zero."""
STABLE_PIVOT = 1e-7
ROUNDING_ERROR = 2e-15
"""What sums of products may be wrong by, relative to the sum of their magnitudes; cuts carry such errors, too."""
FLIP_ROUNDING = 1e-14
"""What is left of a violation after flips is rounding up to this share of it."""
REFRESH_EVERY = 64
REBUILD_AFTER = 400
PERTURBATION = 1e-9
"""Reduced costs that are tied are set apart by at most this share of the largest cost, or of 1 where there is none."""


@inlined
def objective(lp: Lp) -> float:
    value = 0.0
    for j in range(len(lp.cost)):
        value += lp.reduced[j] * nonbasic_value(lp, j)
    return value


@kernel
def certified_minimum(lp: Lp, target: FloatArray, multipliers: FloatArray) -> float:
    """A lower bound of target @ x on the rows as given, whatever `multipliers` (n,) of the nonbasic variables are.

    target: (n,); it is changed to the residual.
    """
    n = len(lp.cost)
    bound = 0.0
    size = np.empty(n)
    for k in range(n):
        size[k] = abs(target[k])
    magnitude = 0.0
    for j in range(n):
        v, y = lp.nonbasic[j], multipliers[j]
        if v >= n and y != 0.0:
            term = y * (lp.lower[v] if y > 0.0 else lp.upper[v])
            bound += term
            magnitude += abs(term)
            row = lp.rows[v - n]
            for k in range(n):
                target[k] -= y * row[k]
                size[k] += abs(y * row[k])
    for k in range(n):
        bound += target[k] * (lp.lower[k] if target[k] > 0.0 else lp.upper[k])
        magnitude += size[k] * max(abs(lp.lower[k]), abs(lp.upper[k]))
    lp.counts[WORK] += 2 * combination_work(lp)
    return bound - ROUNDING_ERROR * magnitude


@inlined
def certified_objective(lp: Lp) -> float:
    """A lower bound of the objective that holds whatever rounding did to the dictionary."""
    return certified_minimum(lp, lp.cost.copy(), lp.reduced)


@inlined
def certified_infeasible(lp: Lp, r: int) -> bool:
    """Whether the basic variable of line r, outside its bounds now, can be shown never to be inside."""
    n, v = len(lp.cost), lp.basic[r]
    below = lp.basic_value[r] < lp.lower[v]
    sign = -1.0 if below else 1.0
    target = np.zeros(n)
    if v < n:
        target[v] = sign
    else:
        assign_product(target, lp.rows[v - n], sign)
    multipliers = np.empty(n)
    assign_product(multipliers, lp.tableau[r], sign)
    least = certified_minimum(lp, target, multipliers)
    bound = sign * (lp.lower[v] if below else lp.upper[v])
    return bool(least > bound)


@inlined
def leaving_row(lp: Lp) -> int:
    """The line with the largest violation per length of its row; -1 when none is violated."""
    n = len(lp.cost)
    chosen, best = -1, 0.0
    for i in range(lp.counts[ROWS]):
        v, value = lp.basic[i], lp.basic_value[i]
        violation = max(lp.lower[v] - value, value - lp.upper[v])
        if violation > PRIMAL_TOLERANCE * (1.0 + abs(value)):
            length = 1e-3
            line = lp.tableau[i]
            for j in range(n):
                length += line[j] * line[j]
            score = violation * violation / length
            if score > best:
                chosen, best = i, score
    return chosen


@inlined
def collect_ratios(lp: Lp, r: int, sign: float, ratios: FloatArray) -> None:
    """ratios[j]: how far the dual may move before the j-th reduced cost is zero; infinite for what does not help."""
    line = lp.tableau[r]
    for j in range(len(lp.cost)):
        v, inward = lp.nonbasic[j], -1.0 if lp.at_upper[j] else 1.0
        a, d = inward * sign * line[j], inward * lp.reduced[j]
        helps = (a > ZERO_PIVOT) & (lp.upper[v] - lp.lower[v] > 1e-14)
        # Divided in any case: a branch that cannot be foreseen takes longer.
        ratio = max(0.0, d) / max(a, ZERO_PIVOT)
        ratios[j] = ratio if helps else np.inf


@inlined
def first_ratio(lp: Lp, r: int, ratios: FloatArray) -> int:
    """The least ratio; of equal ones the largest pivot; -1 when there is none."""
    line = lp.tableau[r]
    least = np.inf
    for j in range(len(ratios)):
        least = min(least, ratios[j])
    if least == np.inf:
        return -1
    chosen, largest = -1, 0.0
    for j in range(len(ratios)):
        if ratios[j] <= least + 1e-11 and abs(line[j]) > largest:
            chosen, largest = j, abs(line[j])
    return chosen


@inlined
def flip(lp: Lp, j: int) -> None:
    """The j-th nonbasic variable to its other bound."""
    v = lp.nonbasic[j]
    move = lp.lower[v] - lp.upper[v] if lp.at_upper[j] else lp.upper[v] - lp.lower[v]
    lp.at_upper[j] = not lp.at_upper[j]
    for i in range(lp.counts[ROWS]):
        lp.basic_value[i] += lp.tableau[i, j] * move
    lp.counts[WORK] += lp.counts[ROWS]


@inlined
def dual_step(lp: Lp, r: int, ratios: FloatArray, flips: IntArray) -> bool:
    """Bring the basic variable of line r to its bound; False when nothing (stable) can.

    ratios, flips: (n,) to work in.
    """
    v = lp.basic[r]
    below = lp.basic_value[r] < lp.lower[v]
    target = lp.lower[v] if below else lp.upper[v]
    need = start = abs(target - lp.basic_value[r])
    collect_ratios(lp, r, 1.0 if below else -1.0, ratios)
    count, entering = 0, -1
    while True:
        j = first_ratio(lp, r, ratios)
        if j < 0:
            break
        room = abs(lp.tableau[r, j]) * (lp.upper[lp.nonbasic[j]] - lp.lower[lp.nonbasic[j]])
        # Columns that together just reach the target must not fall short of it by the rounding of their sum.
        if room >= need or (need - room <= FLIP_ROUNDING * start and abs(lp.tableau[r, j]) >= 1e-3):
            entering = j
            break
        need -= room
        ratios[j] = np.inf
        flips[count] = j
        count += 1
    if entering < 0 or (abs(lp.tableau[r, entering]) < STABLE_PIVOT and lp.counts[SINCE_REBUILD] > 0):
        return False
    for k in range(count):
        flip(lp, flips[k])
    move = (target - lp.basic_value[r]) / lp.tableau[r, entering]
    for i in range(lp.counts[ROWS]):
        lp.basic_value[i] += lp.tableau[i, entering] * move
    entered = nonbasic_value(lp, entering) + move
    pivot(lp, r, entering)
    lp.basic_value[r] = entered
    lp.at_upper[entering] = not below
    return True


@kernel
def dual_simplex(lp: Lp, cutoff: float, max_pivots: int) -> int:
    """Pivots until one of the verdicts. cutoff: stop once the objective is proven to be above it."""
    ratios, flips = np.empty(len(lp.cost)), np.empty(len(lp.cost), dtype=np.int64)
    for _ in range(max_pivots):
        if objective(lp) > cutoff and certified_objective(lp) > cutoff:
            return CUT_OFF
        r = leaving_row(lp)
        if r < 0:
            return OPTIMAL
        if not dual_step(lp, r, ratios, flips):
            return INFEASIBLE if certified_infeasible(lp, r) else UNPROVEN
        if lp.counts[SINCE_REBUILD] % REFRESH_EVERY == 0:
            refresh_values(lp)
    return PAUSED


@inlined
def solve_lp(lp: Lp, cutoff: float, max_pivots: int) -> int:
    """The dual simplex, from a fresh dictionary where the old one has seen too many pivots or lost a proof.

    Pivots at no change of the objective can go round in a circle: where all of them gained nothing, the reduced costs
    that are tied are set apart.
    """
    if lp.counts[SINCE_REBUILD] > REBUILD_AFTER:
        rebuild(lp)
    before = objective(lp)
    verdict = dual_simplex(lp, cutoff, max_pivots)
    if verdict == PAUSED and objective(lp) - before <= PERTURBATION * abs(before):
        largest = largest_magnitude(lp.cost)
        perturb_costs(lp, PERTURBATION * (largest if largest > 0.0 else 1.0))
        verdict = dual_simplex(lp, cutoff, max_pivots)
    if verdict == UNPROVEN:
        rebuild(lp)
        verdict = dual_simplex(lp, cutoff, max_pivots)
    return verdict
