"""Is the answer really better than a plainer one? Compared scenario by scenario, where neither was chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.portfolio.strict import exact_mean
from core.risk.greedy import GreedyPortfolio
from core.risk.out_of_sample_trial import OutOfSampleTrial
from core.risk.sampling_error import mean_error, required_sample_size

SAME_WEIGHTS = 1e-9
EQUAL_WEIGHTS = "equal_weights"


@dataclass(frozen=True, slots=True)
class ComparisonPortfolio:
    """Another portfolio in the same scenarios out of sample.

    difference: by how much the answer's expected multiple exceeds that of the other; standard_error: of that
    difference, scenario by scenario, so that what both share cancels. within_noise: it is at most one standard error.
    required_sample_size: as many would show it, were it what it seems; None where there is none at all.
    feasible: whether it keeps every limit on the matrix.
    """

    name: str
    expected_moic: float
    difference: float
    standard_error: float
    within_noise: bool
    required_sample_size: int | None
    feasible: bool

    @classmethod
    def measured(
        cls,
        name: str,
        *,
        expected_moic: float,
        difference: float,
        standard_error: float,
        scenarios: int,
        feasible: bool,
    ) -> ComparisonPortfolio:
        """In so many scenarios."""
        return cls(
            name,
            expected_moic,
            difference,
            standard_error,
            within_noise=abs(difference) <= standard_error,
            required_sample_size=required_sample_size(difference, standard_error, scenarios),
            feasible=feasible,
        )


def equal_weights(n_buckets: int) -> FloatArray:
    return np.full(n_buckets, 1.0 / n_buckets)


def comparison_portfolios(
    weights: FloatArray, trial: OutOfSampleTrial, greedy: GreedyPortfolio, *, equal_is_feasible: bool
) -> list[ComparisonPortfolio]:
    """Equal weights, and the greedy portfolio; one that is the answer itself is left out. weights: (n_buckets,).

    equal_is_feasible: whether equal weights keep every limit on the matrix.
    """
    equal = equal_weights(len(weights))
    candidates = (
        (EQUAL_WEIGHTS, equal, 0.0, equal_is_feasible),
        ("greedy", greedy.weights, greedy.cash_weight, greedy.feasible),
    )
    answer = trial.of_weights(weights).multiples
    return [
        _compare(name, answer, trial.of_weights(other, cash).multiples, feasible=feasible)
        for name, other, cash, feasible in candidates
        if np.max(np.abs(other - weights)) > SAME_WEIGHTS
    ]


def _compare(name: str, answer: FloatArray, other: FloatArray, *, feasible: bool) -> ComparisonPortfolio:
    advantage = answer - other
    difference, error = exact_mean(advantage), mean_error(advantage)
    assert error is not None
    return ComparisonPortfolio.measured(
        name,
        expected_moic=exact_mean(other),
        difference=difference,
        standard_error=error,
        scenarios=advantage.size,
        feasible=feasible,
    )
