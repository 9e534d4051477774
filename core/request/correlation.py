"""What makes a matrix a correlation matrix, judged after its numbers are rounded as the matrix key rounds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from core.arrays import FloatArray
from core.canonical import DECIMALS, round6
from core.request.fields import Location

Contradiction = tuple[Location, object, str]

SYMMETRY_TOLERANCE = 1e-9


def rounded_correlation(rows: Sequence[Sequence[float]]) -> FloatArray:
    """(n, n), exactly symmetric, diagonal exactly 1, rounded; the same whatever order its rows and columns are in."""
    values = np.asarray(rows, dtype=np.float64)
    rounded = np.array(round6(((values + values.T) / 2).tolist()), dtype=np.float64)
    np.fill_diagonal(rounded, 1.0)
    return rounded


def contradictions(rows: Sequence[Sequence[float]]) -> list[Contradiction]:
    """Every way in which `rows` (each entry known to be in [-1, 1]) is no correlation matrix."""
    found = list(_not_square(rows))
    if not found:
        found = list(_off_diagonal_or_asymmetric(rows))
    if not found:
        found = list(_indefinite(rows))
    return found


def _not_square(rows: Sequence[Sequence[float]]) -> Iterator[Contradiction]:
    if not rows:
        yield (), [], "must have as many rows as there are sectors"
    for i, row in enumerate(rows):
        if len(row) != len(rows):
            yield (i,), list(row), f"must have {len(rows)} entries, as many as there are rows"


def _off_diagonal_or_asymmetric(rows: Sequence[Sequence[float]]) -> Iterator[Contradiction]:
    for i, row in enumerate(rows):
        if abs(row[i] - 1) > SYMMETRY_TOLERANCE:
            yield (i, i), row[i], "must be 1: a sector's correlation with itself"
        for j in range(i):
            if abs(row[j] - rows[j][i]) > SYMMETRY_TOLERANCE:
                yield (i, j), row[j], f"must equal [{j}][{i}] ({rows[j][i]:g}): correlations are symmetric"


def _indefinite(rows: Sequence[Sequence[float]]) -> Iterator[Contradiction]:
    smallest = float(np.linalg.eigvalsh(rounded_correlation(rows))[0])
    # Rounding every entry by half a unit of the last decimal moves no eigenvalue by more than n such halves.
    if smallest < -len(rows) * 10.0**-DECIMALS:
        yield (), smallest, "is the smallest eigenvalue; it must not be negative (positive semi-definite)"
