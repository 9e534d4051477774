"""Sums of rows, in one order whatever the machine."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray, IntArray
from core.jit import inlined, kernel

Value = TypeVar("Value", bound=np.generic)


@inlined
def assign(target: NDArray[Value], source: NDArray[Value]) -> None:
    """target[:] = source, and no more: an assignment of slices brings with it the words for shapes that do not fit."""
    for j in range(len(target)):
        target[j] = source[j]


@inlined
def assign_product(target: FloatArray, values: FloatArray, factor: float) -> None:
    for j in range(len(target)):
        target[j] = factor * values[j]


@inlined
def assign_quotient(target: FloatArray, values: FloatArray, divisor: float) -> None:
    for j in range(len(target)):
        target[j] = values[j] / divisor


@inlined
def largest_magnitude(values: FloatArray) -> float:
    largest = 0.0
    for j in range(len(values)):
        largest = max(largest, abs(values[j]))
    return largest


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
