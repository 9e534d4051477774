"""A linear program as a dense dictionary: every basic variable as a combination of the nonbasic ones.

    minimize cost @ x   subject to   lower <= x <= upper,   lower_i <= rows_i @ x <= upper_i

Variable v is column v for v < n, and row v - n from there on. All variables have finite bounds, rows implied ones
where none is given: so every basis is dual feasible once each nonbasic variable stands at the right bound, and the dual
simplex is the only algorithm needed, whatever changes (a row, a bound, the objective).

With few columns (tens) and rows that come and go, a dense dictionary beats a sparse factorisation: a pivot on
120 x 48 takes about three microseconds, and a new row one pass.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.jit import inlined, kernel
from core.solver.branch_and_bound.lp.vectors import assign

BASE_ROW, CVAR_CUT, CHANCE_CUT, SCENARIO_ROW = 0, 1, 2, 3
"""Kinds of rows: of the polytope; a CVaR cut (valid everywhere); a chance cut (valid below its node); a scenario."""

ROWS, SINCE_REBUILD, WORK = 0, 1, 2
"""Places in `counts`: rows in use; pivots since the dictionary was computed from the rows; multiplications done."""

GOLDEN_FRACTION = 0.6180339887498949
"""Multiples of the golden ratio's fraction, modulo 1, are spread evenly."""
LEAST_ROWS_CHARGED = 256


class Lp(NamedTuple):
    """Arrays of the dictionary; capacity m rows, n columns. See the module's text.

    rows: (m, n); lower, upper: (n + m,) by variable; kind, tag: (m,) what a row is, and which one.
    tableau: (m, n), basic: (m,), basic_value: (m,); nonbasic, at_upper, reduced, cost: (n,); counts: (3,).
    """

    rows: FloatArray
    lower: FloatArray
    upper: FloatArray
    kind: IntArray
    tag: IntArray
    tableau: FloatArray
    basic: IntArray
    basic_value: FloatArray
    nonbasic: IntArray
    at_upper: BoolArray
    reduced: FloatArray
    cost: FloatArray
    counts: IntArray


def make_lp(cost: FloatArray, lower: FloatArray, upper: FloatArray, capacity: int) -> Lp:
    """No rows yet; every column at the bound its cost prefers."""
    n = len(cost)
    return Lp(
        rows=np.zeros((capacity, n)),
        lower=np.concatenate([lower, np.zeros(capacity)]),
        upper=np.concatenate([upper, np.zeros(capacity)]),
        kind=np.zeros(capacity, dtype=np.int64),
        tag=np.full(capacity, -1, dtype=np.int64),
        tableau=np.zeros((capacity, n)),
        basic=np.zeros(capacity, dtype=np.int64),
        basic_value=np.zeros(capacity),
        nonbasic=np.arange(n, dtype=np.int64),
        at_upper=cost < 0.0,
        reduced=cost.copy(),
        cost=cost.copy(),
        counts=np.zeros(3, dtype=np.int64),
    )


def with_capacity(lp: Lp, capacity: int) -> Lp:
    """The same program with room for `capacity` rows."""
    n, m = len(lp.cost), lp.counts[ROWS]
    larger = make_lp(lp.cost, lp.lower[:n], lp.upper[:n], capacity)
    copy_into(lp, larger)
    assert larger.counts[ROWS] == m
    return larger


@kernel
def copy_into(source: Lp, target: Lp) -> None:
    """All of `source` but the work it counted; target must have room."""
    n, m = len(source.cost), source.counts[ROWS]
    for i in range(m):
        for j in range(n):
            target.rows[i, j] = source.rows[i, j]
            target.tableau[i, j] = source.tableau[i, j]
        target.kind[i] = source.kind[i]
        target.tag[i] = source.tag[i]
        target.basic[i] = source.basic[i]
        target.basic_value[i] = source.basic_value[i]
    for v in range(n + m):
        target.lower[v] = source.lower[v]
        target.upper[v] = source.upper[v]
    for j in range(n):
        target.nonbasic[j] = source.nonbasic[j]
        target.at_upper[j] = source.at_upper[j]
        target.reduced[j] = source.reduced[j]
        target.cost[j] = source.cost[j]
    target.counts[ROWS] = m
    target.counts[SINCE_REBUILD] = source.counts[SINCE_REBUILD]


@inlined
def nonbasic_value(lp: Lp, j: int) -> float:
    """The j-th nonbasic variable's value: the bound that it is at."""
    v = lp.nonbasic[j]
    return float(lp.upper[v] if lp.at_upper[j] else lp.lower[v])


@inlined
def activity_range(lp: Lp, row: FloatArray) -> tuple[float, float]:
    """Least and largest row @ x over the columns' bounds alone."""
    low, high = 0.0, 0.0
    for j in range(len(row)):
        a = row[j]
        if a > 0.0:
            low += a * lp.lower[j]
            high += a * lp.upper[j]
        elif a < 0.0:
            low += a * lp.upper[j]
            high += a * lp.lower[j]
    return low, high


@inlined
def combination_work(lp: Lp) -> int:
    """Work of a combination of tableau rows of basic columns, of which there are at most as many as rows.

    Few rows count as `LEAST_ROWS_CHARGED`, so that the work of small programs does not depend on their number.
    """
    n = len(lp.cost)
    return int(n * min(n, max(lp.counts[ROWS], LEAST_ROWS_CHARGED)))


@kernel
def add_row(lp: Lp, row: FloatArray, low: float, high: float, kind: int, tag: int) -> None:
    """Append low <= row @ x <= high, with its activity as a basic variable. Infinite bounds become implied ones."""
    n, m = len(lp.cost), lp.counts[ROWS]
    least, most = activity_range(lp, row)
    assign(lp.rows[m], row)
    lp.lower[n + m] = max(low, min(least - 1.0, high - 1.0))
    lp.upper[n + m] = min(high, max(most + 1.0, low + 1.0))
    lp.kind[m] = kind
    lp.tag[m] = tag
    target = lp.tableau[m]
    for j in range(n):
        v = lp.nonbasic[j]
        target[j] = row[v] if v < n else 0.0
    for i in range(m):
        v = lp.basic[i]
        if v < n and row[v] != 0.0:
            factor = row[v]
            source = lp.tableau[i]
            for j in range(n):
                target[j] += factor * source[j]
    value = 0.0
    for j in range(n):
        value += target[j] * nonbasic_value(lp, j)
    lp.basic[m] = n + m
    lp.basic_value[m] = value
    lp.counts[ROWS] = m + 1
    lp.counts[WORK] += combination_work(lp)


@inlined
def drop_row(lp: Lp, i: int) -> None:
    """Forget the row whose activity is basic in line i; the last row and line take the places that become free."""
    n, last = len(lp.cost), lp.counts[ROWS] - 1
    slot = lp.basic[i] - n
    if slot != last:
        assign(lp.rows[slot], lp.rows[last])
        lp.lower[n + slot] = lp.lower[n + last]
        lp.upper[n + slot] = lp.upper[n + last]
        lp.kind[slot] = lp.kind[last]
        lp.tag[slot] = lp.tag[last]
        for k in range(last + 1):
            if lp.basic[k] == n + last:
                lp.basic[k] = n + slot
        for j in range(n):
            if lp.nonbasic[j] == n + last:
                lp.nonbasic[j] = n + slot
    if i != last:
        assign(lp.tableau[i], lp.tableau[last])
        lp.basic_value[i] = lp.basic_value[last]
        lp.basic[i] = lp.basic[last]
    lp.counts[ROWS] = last


@kernel
def drop_slack_rows(lp: Lp) -> None:
    """Forget the cuts and scenario rows that are not tight: what is basic and away from its bounds."""
    n = len(lp.cost)
    for i in range(lp.counts[ROWS] - 1, -1, -1):
        v = lp.basic[i]
        slack = min(lp.basic_value[i] - lp.lower[v], lp.upper[v] - lp.basic_value[i])
        if v >= n and lp.kind[v - n] != BASE_ROW and slack > 1e-7:
            drop_row(lp, i)


@kernel
def pivot(lp: Lp, r: int, q: int) -> None:
    """Exchange the basic variable of line r with the q-th nonbasic one; values are the caller's business."""
    n, m = len(lp.cost), lp.counts[ROWS]
    line = lp.tableau[r]
    inverse = 1.0 / line[q]
    for i in range(m):
        if i != r:
            other = lp.tableau[i]
            factor = other[q] * inverse
            if factor != 0.0:
                for j in range(n):
                    other[j] -= factor * line[j]
                other[q] = factor
    factor = lp.reduced[q] * inverse
    if factor != 0.0:
        for j in range(n):
            lp.reduced[j] -= factor * line[j]
        lp.reduced[q] = factor
    for j in range(n):
        line[j] *= -inverse
    line[q] = inverse
    lp.basic[r], lp.nonbasic[q] = lp.nonbasic[q], lp.basic[r]
    lp.counts[SINCE_REBUILD] += 1
    lp.counts[WORK] += m * n


@kernel
def refresh_values(lp: Lp) -> None:
    """Basic values from the nonbasic ones."""
    n, m = len(lp.cost), lp.counts[ROWS]
    values_at_bounds = np.empty(n)
    for j in range(n):
        values_at_bounds[j] = nonbasic_value(lp, j)
    for i in range(m):
        value = 0.0
        for j in range(n):
            value += lp.tableau[i, j] * values_at_bounds[j]
        lp.basic_value[i] = value
    lp.counts[WORK] += m * n


@inlined
def make_dual_feasible(lp: Lp) -> None:
    """Every nonbasic variable to the bound that its reduced cost prefers."""
    for j in range(len(lp.cost)):
        if lp.reduced[j] > 1e-11:
            lp.at_upper[j] = False
        elif lp.reduced[j] < -1e-11:
            lp.at_upper[j] = True
    refresh_values(lp)


@inlined
def perturb_costs(lp: Lp, most: float) -> None:
    """Perturb: every reduced cost away from zero, to the side its bound prefers, each by another part of `most`."""
    for j in range(len(lp.cost)):
        part = most * (0.5 + 0.5 * ((lp.nonbasic[j] * GOLDEN_FRACTION) % 1.0))
        lp.reduced[j] += -part if lp.at_upper[j] else part


@inlined
def set_cost(lp: Lp, cost: FloatArray) -> None:
    """Another objective, from the basis at hand."""
    n = len(lp.cost)
    for j in range(n):
        lp.cost[j] = cost[j]
        v = lp.nonbasic[j]
        lp.reduced[j] = cost[v] if v < n else 0.0
    for i in range(lp.counts[ROWS]):
        v = lp.basic[i]
        if v < n and cost[v] != 0.0:
            factor = cost[v]
            line = lp.tableau[i]
            for j in range(n):
                lp.reduced[j] += factor * line[j]
    lp.counts[WORK] += combination_work(lp)
    make_dual_feasible(lp)


@inlined
def stablest_column(lp: Lp, i: int, wanted: BoolArray) -> int:
    """Where in line i the largest entry of a nonbasic column is that should be basic; -1 when all are tiny."""
    q, largest = -1, 1e-9
    for j in range(len(lp.cost)):
        v = lp.nonbasic[j]
        if v < len(wanted) and wanted[v] and abs(lp.tableau[i, j]) > largest:
            q, largest = j, abs(lp.tableau[i, j])
    return q


@kernel
def rebuild(lp: Lp) -> None:
    """The dictionary anew from the rows, with the basis at hand as far as it is a stable one."""
    n, m = len(lp.cost), lp.counts[ROWS]
    tight = np.zeros(m, dtype=np.bool_)
    wanted = np.ones(n, dtype=np.bool_)
    upper = np.zeros(n + m, dtype=np.bool_)
    for j in range(n):
        v = lp.nonbasic[j]
        upper[v] = lp.at_upper[j]
        if v < n:
            wanted[v] = False
        else:
            tight[v - n] = True
    for i in range(m):
        assign(lp.tableau[i], lp.rows[i])
        lp.basic[i] = n + i
    for j in range(n):
        lp.nonbasic[j] = j
        lp.reduced[j] = lp.cost[j]
    for i in range(m):
        q = stablest_column(lp, i, wanted) if tight[i] else -1
        if q >= 0:
            pivot(lp, i, q)
    for j in range(n):
        lp.at_upper[j] = upper[lp.nonbasic[j]]
    lp.counts[SINCE_REBUILD] = 0
    make_dual_feasible(lp)


@inlined
def read_solution(lp: Lp, x: FloatArray) -> None:
    """The columns' values, into x (n,)."""
    n = len(lp.cost)
    for j in range(n):
        if lp.nonbasic[j] < n:
            x[lp.nonbasic[j]] = nonbasic_value(lp, j)
    for i in range(lp.counts[ROWS]):
        if lp.basic[i] < n:
            x[lp.basic[i]] = lp.basic_value[i]
