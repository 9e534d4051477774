"""From configuration and matrix to the arrays of the chance-constrained program.

maximize    mean_s M_s,   M_s = sum_b w_b m[b, s]
subject to  sum_b w_b = 1, 0 <= w_b <= bucket maximum, sector and stage bounds on sums of w,
            expected winners sum_b w_b * fund size / all-in_b * p_win_b >= minimum,
            loss count and CVaR (see core.solver.program)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.arrays import FloatArray
from core.matrix.scenario_matrix import ScenarioMatrix
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
    """moic: (B, S) float64; mean_moic: (B,); winners_per_weight: (B,) expected winners if all capital went there."""

    config: NormalizedConfig
    moic: FloatArray
    mean_moic: FloatArray
    winners_per_weight: FloatArray

    @classmethod
    def of(cls, config: NormalizedConfig, matrix: ScenarioMatrix) -> PortfolioProblem:
        assert tuple(bucket.bucket_id for bucket in config.buckets) == matrix.bucket_keys
        all_in = np.array([bucket.all_in_cost_usd for bucket in config.buckets])
        moic = matrix.moic.astype(np.float64)
        return cls(
            config=config,
            moic=moic,
            mean_moic=np.array([exact_mean(row) for row in moic]),
            winners_per_weight=config.total_fund_size_usd / all_in * matrix.win_probability,
        )

    @property
    def n_buckets(self) -> int:
        return int(self.moic.shape[0])

    @property
    def n_scenarios(self) -> int:
        return int(self.moic.shape[1])

    def linear_constraints(self, limits: Limits) -> list[LinearConstraint]:
        """The linear limits that can bind, in a fixed order: winners, bucket maxima, sectors, stages.

        A minimum of 0 and a maximum of 1 hold for every portfolio and are left out.
        """
        constraints = [
            LinearConstraint(
                "expected_winners_min", "expected_winners_min", self.winners_per_weight, limits.min_expected_winners
            )
        ]
        if limits.bucket_max_weight is not None:
            cap = self._attainable_cap(limits.bucket_max_weight)
            constraints += [
                LinearConstraint("bucket_max_weight", "bucket_max_weight", row, cap) for row in np.eye(self.n_buckets)
            ]
        for sector in sorted(limits.sector_bounds):
            members = np.array([float(bucket.sector == sector) for bucket in self.config.buckets])
            bounds = limits.sector_bounds[sector]
            constraints += [
                LinearConstraint(f"sector_min_weight:{sector}", "sector_min_weight", members, bounds.min),
                LinearConstraint(f"sector_max_weight:{sector}", "sector_max_weight", members, bounds.max),
            ]
        for stage in sorted(limits.stage_bounds):
            members = np.array([float(bucket.stage == stage) for bucket in self.config.buckets])
            bounds = limits.stage_bounds[stage]
            constraints += [
                LinearConstraint(f"stage_min_weight:{stage}", "stage_min_weight", members, bounds.min),
                LinearConstraint(f"stage_max_weight:{stage}", "stage_max_weight", members, bounds.max),
            ]
        return [c for c in constraints if (c.bound > 0.0 if c.is_minimum else c.bound < 1.0)]

    def program(self, limits: Limits) -> ChanceProgram:
        """The primary solve: maximize expected MOIC over the weights w, x = w."""
        constraints = [c for c in self.linear_constraints(limits) if c.type != "bucket_max_weight"]
        rows = [np.ones(self.n_buckets), *(c.coefficients / c.scale for c in constraints)]
        lower, upper = np.array([(1.0, 1.0), *(c.scaled_bounds for c in constraints)]).T
        cap = 1.0 if limits.bucket_max_weight is None else self._attainable_cap(limits.bucket_max_weight)
        return ChanceProgram(
            objective=self.mean_moic,
            polytope=Polytope(
                rows=np.array(rows),
                row_lower=lower,
                row_upper=upper,
                lower=np.zeros(self.n_buckets),
                upper=np.full(self.n_buckets, cap),
            ),
            payoffs=np.ascontiguousarray(self.moic.T),
            payoff_offset=np.zeros(self.n_scenarios),
            max_losses=limits.max_losses,
            cvar_confidence=limits.cvar_confidence,
            cvar_limit=limits.cvar_limit,
            cvar_slack=np.zeros(self.n_buckets),
        )

    def _attainable_cap(self, cap: float) -> float:
        """A cap meant as 1/B may have been rounded below it, where no weights add up to 1."""
        return max(cap, 1.0 / self.n_buckets)
