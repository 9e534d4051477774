"""Sums in an order of their own: BLAS picks one by processor and threads, and no decision may hang on that."""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray


def dot(left: FloatArray, right: FloatArray) -> float:
    """left @ right; both (n,)."""
    return float(np.einsum("j,j->", left, right))


def products(rows: FloatArray, x: FloatArray) -> FloatArray:
    """rows @ x, shape (m,); rows: (m, n)."""
    result: FloatArray = np.einsum("ij,j->i", rows, x)
    return result


def combination(weights: FloatArray, rows: FloatArray) -> FloatArray:
    """weights @ rows, shape (n,); weights: (m,); rows: (m, n)."""
    result: FloatArray = np.einsum("i,ij->j", weights, rows)
    return result
