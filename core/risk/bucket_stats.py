"""What the matrix says of each bucket alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.matrix.scenario_set import Scenarios
from core.portfolio.strict import exact_mean
from core.risk.sampling_error import mean_error
from core.solver.feasibility import loss_count


@dataclass(frozen=True, slots=True)
class BucketStats:
    """Of the bucket's multiple over the scenarios, on allocated capital; its mean by the distribution where that is
    known. standard_error: of the mean, None with one scenario.

    median, p90: interpolated linearly between scenarios. loss_share: of scenarios with a multiple below 1.
    win_probability: chance that a company of the bucket is a winner.
    """

    bucket_id: str
    mean: float
    standard_error: float | None
    median: float
    p90: float
    loss_share: float
    win_probability: float


def bucket_stats(matrix: Scenarios) -> list[BucketStats]:
    """In bucket-key order."""
    found = []
    expected = matrix.expectations
    for position, (key, row, chance) in enumerate(
        zip(matrix.bucket_keys, matrix.moic.astype(np.float64), matrix.win_probability, strict=True)
    ):
        median, p90 = np.quantile(row, (0.5, 0.9))
        found.append(
            BucketStats(
                bucket_id=key,
                mean=exact_mean(row) if expected is None else float(expected.mean[position]),
                standard_error=mean_error(row) if expected is None else float(expected.mean_error[position]),
                median=float(median),
                p90=float(p90),
                loss_share=loss_count(row) / row.size,
                win_probability=float(chance),
            )
        )
    return found
