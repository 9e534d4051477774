"""What is lost when few scenarios stand for many."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.matrix.scenario_matrix import ScenarioMatrix
from core.portfolio.strict import exact_mean, portfolio_multiples


@dataclass(frozen=True, slots=True)
class ReductionLoss:
    """Wasserstein-1 distances, in multiples: how far the multiples of all scenarios must move, on average, to become
    those of the chosen ones. By bucket their mean and largest, and that of equal weights; and the largest error of a
    bucket's mean.
    """

    generated: int
    kept: int
    mean_distance: float
    largest_distance: float
    largest_distance_bucket: str
    equal_weights_distance: float
    largest_mean_error: float


def reduction_loss(everything: ScenarioMatrix, kept: ScenarioMatrix) -> ReductionLoss:
    """Of the same buckets."""
    pairs = list(zip(everything.moic.astype(np.float64), kept.moic.astype(np.float64), strict=True))
    distances = np.array([wasserstein(all_rows, kept_rows) for all_rows, kept_rows in pairs])
    errors = [abs(exact_mean(all_rows) - exact_mean(kept_rows)) for all_rows, kept_rows in pairs]
    worst = int(np.argmax(distances))
    equal = np.full(everything.n_buckets, 1.0 / everything.n_buckets)
    return ReductionLoss(
        generated=everything.n_scenarios,
        kept=kept.n_scenarios,
        mean_distance=math.fsum(distances) / distances.size,
        largest_distance=float(distances[worst]),
        largest_distance_bucket=everything.bucket_keys[worst],
        equal_weights_distance=wasserstein(
            portfolio_multiples(equal, everything.moic), portfolio_multiples(equal, kept.moic)
        ),
        largest_mean_error=max(errors),
    )


def wasserstein(one: FloatArray, other: FloatArray) -> float:
    """W1 of two samples on the line, of any sizes: the area between their distribution functions.

    Source: Vallender (1974), "Calculation of the Wasserstein distance between probability distributions on the line".
    """
    one, other = np.sort(one), np.sort(other)
    points = np.sort(np.concatenate([one, other]))
    below_one = np.searchsorted(one, points[:-1], side="right") / one.size
    below_other = np.searchsorted(other, points[:-1], side="right") / other.size
    return math.fsum(np.abs(below_one - below_other) * np.diff(points))
