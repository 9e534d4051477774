"""The point of a polyhedron that is nearest to the origin, by a dual active-set method.

    minimize |y|^2 / 2   subject to   rows @ y >= floors

Strictly convex, so that there is one answer. From the origin the method takes violated rows in, one at a time, and
drops those that come to pull the wrong way; every step keeps y optimal for the rows it holds.
Source: Goldfarb & Idnani (1983), "A numerically stable dual method for solving strictly convex quadratic programs".
"""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray, IntArray
from core.errors import SolverFailed
from core.jit import kernel

VIOLATION = 1e-11
"""A row of length 1 counts as kept when no more is missing."""

DEPENDENT = 1e-10
"""A row whose part outside of the span of the rows held is shorter lies within it."""

STEPS_PER_ROW = 50
"""Of active-set changes, before the method is given up: it needs a few a row."""

FOUND, EMPTY, STUCK = 0, 1, 2


def nearest_to_origin(rows: FloatArray, floors: FloatArray) -> FloatArray | None:
    """y: (n,), None where the polyhedron is empty. rows: (m, n); floors: (m,), finite. Rows of zeros are allowed.

    Raises SolverFailed where rounding keeps the method from ending.
    """
    length = np.sqrt(np.sum(rows * rows, axis=1))
    if np.any((length == 0.0) & (floors > VIOLATION)):
        return None
    real = length > 0.0
    unit = np.ascontiguousarray(rows[real] / length[real, None])
    status, y = _nearest(unit, floors[real] / length[real])
    if status == STUCK:
        raise SolverFailed("the nearest point of a polyhedron was not found: its rows are too close to dependent")
    return y if status == FOUND else None


@kernel
def _nearest(  # noqa: C901, PLR0912 - one published algorithm
    rows: FloatArray, floors: FloatArray
) -> tuple[int, FloatArray]:
    """rows: of length 1."""
    m, n = rows.shape
    y = np.zeros(n)
    held, price = np.empty(n, dtype=np.int64), np.zeros(n)
    basis, upper = np.empty((n, n)), np.empty((n, n))
    n_held = 0
    for _ in range(STEPS_PER_ROW * (m + n)):
        worst, entering = VIOLATION, -1
        for i in range(m):
            missing = floors[i] - _dot(rows, i, y)
            if missing > worst:
                worst, entering = missing, i
        if entering < 0:
            return FOUND, y
        new_price = 0.0
        while True:
            _orthogonalize(rows, held, n_held, basis, upper)
            outside, coefficients = _split(rows[entering], basis, upper, n_held)
            # How far the prices of the rows held let us go, and how far the entering row is from being kept.
            longest, leaving = np.inf, -1
            for k in range(n_held):
                if coefficients[k] > 1e-14 and price[k] / coefficients[k] < longest:
                    longest, leaving = price[k] / coefficients[k], k
            square = 0.0
            for j in range(n):
                square += outside[j] * outside[j]
            full = np.inf
            if square > DEPENDENT * DEPENDENT and n_held < n:
                full = (floors[entering] - _dot(rows, entering, y)) / square
            step = min(longest, full)
            if step == np.inf:
                return EMPTY, y
            for k in range(n_held):
                price[k] = max(price[k] - step * coefficients[k], 0.0)
            new_price += step
            if full < np.inf:
                for j in range(n):
                    y[j] += step * outside[j]
            if full <= longest:
                held[n_held], price[n_held] = entering, new_price
                n_held += 1
                break
            for k in range(leaving, n_held - 1):
                held[k], price[k] = held[k + 1], price[k + 1]
            n_held -= 1
    return STUCK, y


@kernel
def _dot(rows: FloatArray, i: int, y: FloatArray) -> float:
    total = 0.0
    for j in range(y.size):
        total += rows[i, j] * y[j]
    return total


@kernel
def _orthogonalize(rows: FloatArray, held: IntArray, n_held: int, basis: FloatArray, upper: FloatArray) -> None:
    """rows[held].T = basis.T @ upper: modified Gram-Schmidt, twice, so that the basis is orthogonal to rounding."""
    n = rows.shape[1]
    for k in range(n_held):
        for j in range(n):
            basis[k, j] = rows[held[k], j]
        for i in range(k):
            upper[i, k] = 0.0
        for _ in range(2):
            for i in range(k):
                along = 0.0
                for j in range(n):
                    along += basis[i, j] * basis[k, j]
                upper[i, k] += along
                for j in range(n):
                    basis[k, j] -= along * basis[i, j]
        square = 0.0
        for j in range(n):
            square += basis[k, j] * basis[k, j]
        upper[k, k] = np.sqrt(square)
        for j in range(n):
            basis[k, j] /= upper[k, k]


@kernel
def _split(row: FloatArray, basis: FloatArray, upper: FloatArray, n_held: int) -> tuple[FloatArray, FloatArray]:
    """The part of a row outside of the span of the rows held, and the coefficients of the part within it."""
    n = row.size
    outside = row.copy()
    along = np.zeros(n_held)
    for _ in range(2):
        for k in range(n_held):
            share = 0.0
            for j in range(n):
                share += basis[k, j] * outside[j]
            along[k] += share
            for j in range(n):
                outside[j] -= share * basis[k, j]
    for k in range(n_held - 1, -1, -1):
        for i in range(k + 1, n_held):
            along[k] -= upper[k, i] * along[i]
        along[k] /= upper[k, k]
    return outside, along
