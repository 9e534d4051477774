"""Sums of rows, in one order whatever the machine."""

from __future__ import annotations

from core.arrays import FloatArray, IntArray
from core.solver.branch_and_bound.compiling import kernel


@kernel
def add_rows(target: FloatArray, rows: FloatArray, places: IntArray, weights: FloatArray) -> None:
    """target += weights @ rows[places]. Four rows at a time, so that target is read and written once for them."""
    whole = len(places) // 4 * 4
    for k in range(0, whole, 4):
        a, b, c, d = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        p, q, r, s = rows[places[k]], rows[places[k + 1]], rows[places[k + 2]], rows[places[k + 3]]
        for j in range(len(target)):
            target[j] += (a * p[j] + b * q[j]) + (c * r[j] + d * s[j])
    for k in range(whole, len(places)):
        a, p = weights[k], rows[places[k]]
        for j in range(len(target)):
            target[j] += a * p[j]
