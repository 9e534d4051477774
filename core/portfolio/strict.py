"""Strict evaluation of a portfolio: every figure recomputed in float64 from its weights, whatever a solver claims.

All sums here are either exact (`math.fsum`) or added in row order element by element, so that no figure depends on
a BLAS library, its number of threads or the processor: the same portfolio has the same figures, to the bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.arrays import Float32Array, FloatArray
from core.errors import SolverFailed
from core.matrix.scenario_set import Scenarios
from core.request.normalized_config import NormalizedConfig
from core.risk.measures import cvar
from core.solver.feasibility import loss_count

WEIGHT_TOLERANCE = 1e-6
"""By how much a solver's weights may fall below 0, or their sum differ from 1, and still mean a portfolio."""


@dataclass(frozen=True, slots=True)
class StrictFigures:
    """expected_moic: multiple; loss_probability: loss_count / scenarios; cvar: fraction of capital lost."""

    expected_moic: float
    loss_count: int
    loss_probability: float
    cvar: float
    expected_winners: float


def normalize_weights(weights: FloatArray) -> FloatArray:
    """Weights >= 0 that sum to 1, from a solver's answer that does so within `WEIGHT_TOLERANCE`. Shape (n_buckets,).

    Raises SolverFailed for anything farther away, which rescaling would turn into a different portfolio.
    """
    total = math.fsum(weights)
    # Written so that NaN fails too.
    if not (np.all(weights >= -WEIGHT_TOLERANCE) and abs(total - 1.0) <= WEIGHT_TOLERANCE):
        raise SolverFailed(
            f"weights must be >= 0 and sum to 1 within {WEIGHT_TOLERANCE:g}; "
            f"the smallest is {np.min(weights, initial=0.0):.9g}, the sum {total:.9g}"
        )
    clipped = np.where(weights > 0.0, weights, 0.0)
    return clipped / math.fsum(clipped)


def portfolio_multiples(weights: FloatArray, moic: Float32Array | FloatArray, cash_weight: float = 0.0) -> FloatArray:
    """M_s = cash + sum_b w_b m[b, s]; what is kept as cash comes back as it is. float64, shape (n_scenarios,).

    weights: (n_buckets,); moic: (n_buckets, n_scenarios).
    """
    multiples = np.full(moic.shape[1], cash_weight)
    for weight, row in zip(weights, moic, strict=True):
        if weight != 0.0:
            multiples += weight * row.astype(np.float64)
    return multiples


def shortfalls(multiples: FloatArray) -> FloatArray:
    """max(0, 1 - M_s), the fraction of capital lost in each scenario."""
    return np.maximum(0.0, 1.0 - multiples)


def expected_winners(weights: FloatArray, config: NormalizedConfig, win_probability: FloatArray) -> float:
    """sum_b (w_b * fund size / all-in cost of a deal) * P(winner), in companies; deals may be fractions here."""
    return math.fsum(
        weight * config.total_fund_size_usd / bucket.all_in_cost_usd * probability
        for weight, bucket, probability in zip(weights, config.buckets, win_probability, strict=True)
    )


def exact_mean(values: FloatArray) -> float:
    """Arithmetic mean by an exact sum; shape (n,), n >= 1."""
    return math.fsum(values.tolist()) / values.size


def evaluate(
    weights: FloatArray, matrix: Scenarios, config: NormalizedConfig, cash_weight: float = 0.0
) -> StrictFigures:
    """All figures of a portfolio. weights: (n_buckets,), normalized, in the order of the matrix rows.

    With cash, weights and cash_weight together make 1.
    """
    assert tuple(bucket.bucket_id for bucket in config.buckets) == matrix.bucket_keys
    multiples = portfolio_multiples(weights, matrix.moic, cash_weight)
    losses = loss_count(multiples)
    return StrictFigures(
        expected_moic=_expected_moic(weights, matrix, multiples, cash_weight),
        loss_count=losses,
        loss_probability=losses / matrix.n_scenarios,
        cvar=cvar(shortfalls(multiples), config.cvar_confidence_level),
        expected_winners=expected_winners(weights, config, matrix.win_probability),
    )


def _expected_moic(weights: FloatArray, matrix: Scenarios, multiples: FloatArray, cash_weight: float) -> float:
    """By the distribution where it is known, else the mean over the scenarios."""
    if matrix.expectations is None:
        return exact_mean(multiples)
    return math.fsum([*(weights * matrix.expectations.mean).tolist(), cash_weight])
