"""From configuration and matrix to the arrays of the chance-constrained program.

maximize    sum_b w_b mu_b,   M_s = sum_b w_b m[b, s]
subject to  sum_b w_b = 1, 0 <= w_b <= bucket maximum, sector and stage bounds on sums of w,
            expected winners sum_b w_b * fund size / all-in_b * p_win_b >= minimum,
            loss count and CVaR of M (see core.solver.program)

mu_b and p_win_b are those of the bucket's distribution, or of the sample: the mean over s of m[b, s].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.arrays import FloatArray
from core.matrix.scenario_set import Scenarios
from core.portfolio.limits import Limits
from core.portfolio.strict import exact_mean
from core.request.normalized_config import NormalizedConfig
from core.solver.program import ChanceProgram, Polytope
from core.solver.sums import dot

ConstraintType = Literal[
    "expected_winners_min",
    "bucket_max_weight",
    "sector_max_weight",
    "sector_min_weight",
    "stage_max_weight",
    "stage_min_weight",
    "cvar_max",
    "p_loss_max",
]

RELAXATION_ORDER: tuple[ConstraintType, ...] = (
    "expected_winners_min",
    "bucket_max_weight",
    "sector_max_weight",
    "sector_min_weight",
    "stage_max_weight",
    "stage_min_weight",
    "cvar_max",
    "p_loss_max",
)


def is_minimum(constraint_type: ConstraintType) -> bool:
    """Whether a limit of this class is at least something; all others are at most something."""
    return constraint_type.endswith(("_min", "_min_weight"))


@dataclass(frozen=True, slots=True)
class LinearConstraint:
    """`coefficients @ w` against a bound. Minimum: at least; maximum: at most.

    Rows with one constraint_id share their bound (every bucket has the same maximum) and are relaxed together.
    """

    constraint_id: str
    type: ConstraintType
    coefficients: FloatArray
    bound: float

    @property
    def is_minimum(self) -> bool:
        return is_minimum(self.type)

    def violation(self, weights: FloatArray) -> float:
        """By how much these weights (B,) break the bound, in its own unit; negative where there is room."""
        actual = dot(self.coefficients, weights)
        return self.bound - actual if self.is_minimum else actual - self.bound

    @property
    def scale(self) -> float:
        """What the row is divided by in a program: tolerances are relative to bounds above 1, such as winners."""
        return max(1.0, abs(self.bound))

    @property
    def scaled_bounds(self) -> tuple[float, float]:
        """Lower and upper bound of the row divided by `scale`."""
        bound = self.bound / self.scale
        return (bound, math.inf) if self.is_minimum else (-math.inf, bound)


@dataclass(frozen=True, slots=True)
class PortfolioProblem:
    """The program's columns: a bucket each, or a group of exchangeable buckets that share its weight equally.

    groups: (n_columns,) tuples of positions of buckets. moic: (n_columns, S), float64, the mean over the group's
    buckets. mean_moic: (n_columns,), what the objective takes for the expected multiple. winners_per_weight:
    likewise, expected winners if all capital went there. size: likewise, the group's number of buckets.
    """

    config: NormalizedConfig
    groups: Sequence[tuple[int, ...]]
    size: FloatArray
    moic: FloatArray
    mean_moic: FloatArray
    winners_per_weight: FloatArray

    @classmethod
    def of(cls, config: NormalizedConfig, scenarios: Scenarios) -> PortfolioProblem:
        assert tuple(bucket.bucket_id for bucket in config.buckets) == scenarios.bucket_keys
        all_in = np.array([bucket.all_in_cost_usd for bucket in config.buckets])
        moic = scenarios.moic.astype(np.float64)
        expected = scenarios.expectations
        mean = np.array([exact_mean(row) for row in moic]) if expected is None else expected.mean
        winners = config.total_fund_size_usd / all_in * scenarios.win_probability
        groups = tuple(scenarios.exchangeable) or tuple((b,) for b in range(scenarios.n_buckets))
        return cls(
            config=config,
            groups=groups,
            size=np.array([float(len(group)) for group in groups]),
            moic=_means_over(groups, moic),
            mean_moic=_means_over(groups, mean),
            winners_per_weight=_means_over(groups, winners),
        )

    @property
    def n_columns(self) -> int:
        return int(self.moic.shape[0])

    @property
    def n_scenarios(self) -> int:
        return int(self.moic.shape[1])

    @property
    def equal_weights(self) -> FloatArray:
        """(n_columns,), what equal weights of all buckets are."""
        return self.size / len(self.config.buckets)

    def bucket_weights(self, columns: FloatArray) -> FloatArray:
        """(n_columns,) to (n_buckets,): a column's weight in equal parts."""
        weights = np.empty(len(self.config.buckets))
        for group, weight in zip(self.groups, columns.tolist(), strict=True):
            weights[list(group)] = weight / len(group)
        return weights

    def column_weights(self, weights: FloatArray) -> FloatArray:
        """(n_buckets,) to (n_columns,)."""
        return np.array([math.fsum(weights[list(group)]) for group in self.groups])

    def linear_constraints(self, limits: Limits) -> list[LinearConstraint]:
        """The linear limits that can bind, in a fixed order: winners, bucket maxima, sectors, stages.

        Coefficients are of columns. A minimum of 0 and a maximum of 1 hold for every portfolio and are left out.
        """
        constraints = [
            LinearConstraint(
                "expected_winners_min", "expected_winners_min", self.winners_per_weight, limits.min_expected_winners
            )
        ]
        if limits.bucket_max_weight is not None:
            cap = self._attainable_cap(limits.bucket_max_weight)
            constraints += [
                LinearConstraint("bucket_max_weight", "bucket_max_weight", row, cap) for row in np.diag(1.0 / self.size)
            ]
        for sector in sorted(limits.sector_bounds):
            members = self._members([bucket.sector == sector for bucket in self.config.buckets])
            bounds = limits.sector_bounds[sector]
            constraints += [
                LinearConstraint(f"sector_min_weight:{sector}", "sector_min_weight", members, bounds.min),
                LinearConstraint(f"sector_max_weight:{sector}", "sector_max_weight", members, bounds.max),
            ]
        for stage in sorted(limits.stage_bounds):
            members = self._members([bucket.stage == stage for bucket in self.config.buckets])
            bounds = limits.stage_bounds[stage]
            constraints += [
                LinearConstraint(f"stage_min_weight:{stage}", "stage_min_weight", members, bounds.min),
                LinearConstraint(f"stage_max_weight:{stage}", "stage_max_weight", members, bounds.max),
            ]
        return [c for c in constraints if (c.bound > 0.0 if c.is_minimum else c.bound < 1.0)]

    def program(self, limits: Limits) -> ChanceProgram:
        """The primary solve: maximize expected MOIC over the weights of the columns."""
        constraints = [c for c in self.linear_constraints(limits) if c.type != "bucket_max_weight"]
        rows = [np.ones(self.n_columns), *(c.coefficients / c.scale for c in constraints)]
        lower, upper = np.array([(1.0, 1.0), *(c.scaled_bounds for c in constraints)]).T
        cap = 1.0 if limits.bucket_max_weight is None else self._attainable_cap(limits.bucket_max_weight)
        return ChanceProgram(
            objective=self.mean_moic,
            polytope=Polytope(
                rows=np.array(rows),
                row_lower=lower,
                row_upper=upper,
                lower=np.zeros(self.n_columns),
                upper=np.minimum(cap * self.size, 1.0),
            ),
            payoffs=np.ascontiguousarray(self.moic.T),
            payoff_offset=np.zeros(self.n_scenarios),
            max_losses=limits.max_losses,
            cvar_confidence=limits.cvar_confidence,
            cvar_limit=limits.cvar_limit,
            cvar_slack=np.zeros(self.n_columns),
        )

    def _members(self, belongs: Sequence[bool]) -> FloatArray:
        """What share of each column's buckets belongs."""
        return _means_over(self.groups, np.array(belongs, dtype=np.float64))

    def _attainable_cap(self, cap: float) -> float:
        """A cap meant as 1/B may have been rounded below it, where no weights add up to 1."""
        return max(cap, 1.0 / len(self.config.buckets))


def _means_over(groups: Sequence[tuple[int, ...]], values: FloatArray) -> FloatArray:
    """The mean over each group's rows; of rows that are equal, they themselves. values: (n_buckets, ...)."""
    means = np.empty((len(groups), *values.shape[1:]))
    for column, group in enumerate(groups):
        rows = values[list(group)]
        means[column] = rows[0] if len(group) == 1 or np.all(rows == rows[0]) else rows.sum(axis=0) / len(group)
    return means
