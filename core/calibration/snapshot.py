"""What a calibration yields and a simulation starts from: an immutable, versioned snapshot."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.stages import Stage

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
CalibrationMethod = Literal["simple_cohort", "survival", "industry_benchmark"]


FIRST_REFERENCE = "us_venture_2004_2013"


class SnapshotModel(BaseModel):
    """Frozen, strict about unknown keys, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StageTransitions(SnapshotModel):
    """Probabilities per financing round. What is left to 1 is the chance to stay in the stage for another round."""

    exit_rate: Probability
    graduate_rate: Probability
    failure_rate: Probability

    @model_validator(mode="after")
    def _sum_at_most_one(self) -> Self:
        total = self.exit_rate + self.graduate_rate + self.failure_rate
        if total > 1 + 1e-9:
            raise ValueError(f"exit_rate + graduate_rate + failure_rate is {total:.6g}; it must not exceed 1")
        return self


class ExitOutcome(SnapshotModel):
    """Distribution of the multiple (MOIC on allocated capital) of the deals that exit, by entry stage."""

    median_moic: Positive
    p90_moic: Positive

    @model_validator(mode="after")
    def _p90_above_median(self) -> Self:
        if self.p90_moic <= self.median_moic:
            raise ValueError(f"p90_moic is {self.p90_moic:g}; it must exceed median_moic ({self.median_moic:g})")
        return self


class DealTerms(SnapshotModel):
    """How the fund invests in a stage: the first check and what it sets aside for later rounds."""

    initial_check_size: Positive = Field(description="USD")
    check_size_cv: Annotated[float, Field(ge=0)] = Field(description="standard deviation / mean of the check")
    reserve_ratio: Annotated[float, Field(ge=0)] = Field(description="reserves / initial check")
    rounds_to_exit: Annotated[float, Field(ge=0)] = Field(description="financing rounds until exit")


class SectorMultipliers(SnapshotModel):
    """How a sector differs from the average of its stage; 1 means not at all."""

    risk: Positive = Field(description="times the failure rate")
    returns: Positive = Field(description="times the exit multiples")


class ReferenceRegime(SnapshotModel):
    """A regime of the economy that the calibrated figures are an average over; its shock is uniform in a range."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    probability: Probability
    shock_min: Annotated[float, Field(ge=-1, le=1)]
    shock_max: Annotated[float, Field(ge=-1, le=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.shock_min > self.shock_max:
            raise ValueError(f"shock_min is {self.shock_min:g}; it must not exceed shock_max ({self.shock_max:g})")
        return self


REFERENCE_REGIMES = (
    ReferenceRegime(name="base", probability=0.5, shock_min=-0.3, shock_max=0.3),
    ReferenceRegime(name="boom", probability=0.25, shock_min=0.3, shock_max=1.0),
    ReferenceRegime(name="recession", probability=0.25, shock_min=-1.0, shock_max=-0.3),
)
"""The regimes of a request that names none, and of a calibration that names none."""


class CapTableTerms(SnapshotModel):
    """What happens to a stake from round to round, as fractions in [0, 1]."""

    dilution_per_round_pct: Annotated[float, Field(ge=0, lt=1)]
    option_pool_refresh_pct: Annotated[float, Field(ge=0, lt=1)]
    pro_rata_participation_rate: Probability


class CalibrationSnapshot(SnapshotModel):
    """Everything about the market and the fund's policy that a scenario matrix is made from.

    `provenance` says where each figure comes from: counts for what was measured, a source for what was taken over.
    `sample_sizes` counts observed company-stages by stage. `sectors` maps each sector to its number of companies
    (empty for a reference calibration: then a request names its sectors itself).
    """

    version: Annotated[str, Field(min_length=1, max_length=100)]
    method: CalibrationMethod
    transition_stats: dict[Stage, StageTransitions]
    exit_outcomes: dict[Stage, ExitOutcome]
    deal_terms: dict[Stage, DealTerms]
    cap_table: CapTableTerms
    sector_multipliers: dict[str, SectorMultipliers] = Field(default_factory=dict)
    sectors: dict[str, int] = Field(default_factory=dict)
    sample_sizes: dict[Stage, int] = Field(default_factory=dict)
    sample_size: Annotated[int, Field(ge=0)]
    data_window: str
    benchmark_version: str | None = Field(
        default=None, description="the reference calibration that exit outcomes and deal terms were taken from"
    )
    fitted_for: str | None = Field(
        default=None,
        description="the scenario model that the exit outcomes were fitted for; null where they belong to no model",
    )
    reference_regimes: tuple[ReferenceRegime, ...] | None = Field(
        default=None, description="what the figures are an average over; null for REFERENCE_REGIMES"
    )
    provenance: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _reference_regimes_cover_the_world_once(self) -> Self:
        if self.reference_regimes is not None:
            total = math.fsum(regime.probability for regime in self.reference_regimes)
            if abs(total - 1) > 1e-6:
                raise ValueError(f"reference_regimes: probabilities sum to {total:.6g}; they must sum to 1")
            if len({regime.name for regime in self.reference_regimes}) < len(self.reference_regimes):
                raise ValueError("reference_regimes: two have the same name")
        return self

    @property
    def exit_outcomes_fitted_for(self) -> str | None:
        """As `fitted_for` says; the first reference, and what was completed from it, is older than that field."""
        if self.fitted_for is None and FIRST_REFERENCE in (self.version, self.benchmark_version):
            return "three_component_v1"
        return self.fitted_for
