"""The tie-break solve: of all portfolios within epsilon of the best, the one nearest to equal weights.

    minimize    sum_b |w_b - 1/B|
    subject to  the same constraints, and expected MOIC >= E* - epsilon

Columns are the deviations: w = 1/B + p - q with p, q >= 0, objective -(sum p + sum q). Equal weights are a reference
that needs no choice, so the answer does not depend on who computes it. Where a column stands for several buckets that
share equally, its equal weight is the sum of theirs, and its deviation, too.
"""

from __future__ import annotations

import math

import numpy as np

from core.arrays import FloatArray
from core.solver.program import ChanceProgram, Polytope
from core.solver.sums import dot, products


def with_objective_floor(program: ChanceProgram, floor: float) -> ChanceProgram:
    """The program with `objective @ x >= floor` as its last row."""
    return program.with_rows(program.objective[None, :], floor, np.inf)


def tie_break_program(first: ChanceProgram, objective_floor: float, equal: FloatArray | None = None) -> ChanceProgram:
    """first: the program in w, shape (B,) columns; the result has 2 B columns (p, q). equal: (B,), 1/B if None."""
    n = len(first.objective)
    uniform = _equal(n, equal)
    polytope = with_objective_floor(first, objective_floor).polytope
    at_uniform = products(polytope.rows, uniform)
    return ChanceProgram(
        objective=-np.ones(2 * n),
        polytope=Polytope(
            rows=np.hstack([polytope.rows, -polytope.rows]),
            row_lower=polytope.row_lower - at_uniform,
            row_upper=polytope.row_upper - at_uniform,
            lower=np.zeros(2 * n),
            upper=np.concatenate([np.maximum(polytope.upper - uniform, 0.0), uniform - polytope.lower]),
        ),
        payoffs=np.ascontiguousarray(np.hstack([first.payoffs, -first.payoffs])),
        payoff_offset=first.payoff_offset + products(first.payoffs, uniform),
        max_losses=first.max_losses,
        cvar_confidence=first.cvar_confidence,
        cvar_limit=first.cvar_limit + dot(first.cvar_slack, uniform),
        cvar_slack=np.concatenate([first.cvar_slack, -first.cvar_slack]),
    )


def deviation(weights: FloatArray, equal: FloatArray | None = None) -> float:
    """sum_b |w_b - 1/B| of weights (B,)."""
    return math.fsum(abs(weights - _equal(len(weights), equal)))


def deviations(weights: FloatArray, equal: FloatArray | None = None) -> FloatArray:
    """Weights (B,) as columns (p, q) of the tie-break solve."""
    away = weights - _equal(len(weights), equal)
    return np.concatenate([np.maximum(away, 0.0), np.maximum(-away, 0.0)])


def weights_of(columns: FloatArray, equal: FloatArray | None = None) -> FloatArray:
    """Columns (p, q) of the tie-break solve as weights (B,)."""
    n = len(columns) // 2
    return _equal(n, equal) + columns[:n] - columns[n:]


def _equal(n: int, equal: FloatArray | None) -> FloatArray:
    return np.full(n, 1.0 / n) if equal is None else equal
