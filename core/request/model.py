"""What an analyst asks: the fund, its limits, where it may invest and how scenarios are simulated."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, AliasChoices, Discriminator, Field, Tag, model_validator

from core.request.fields import (
    WHOLE,
    Fraction,
    FractionBelowOne,
    Inconsistent,
    Name,
    NotEmpty,
    NotNegative,
    Positive,
    RequestModel,
    VersionName,
    WholeNumber,
)
from core.request.normalized_config import ExpectationsMode, RelaxationMode
from core.request.scenarios import ScenarioGenConfig
from core.stages import Stage, bucket_id

ModelVersion = Literal["three_component_v2", "three_component_v1"]

SUM_TOLERANCE = 1e-9

DEFAULT_RISK_SCENARIOS = 20_000
DEFAULT_VALIDATION_SCENARIOS: Mapping[ExpectationsMode, int] = {"distribution": 50_000, "sample": 5_000}


def _risk_scenarios_form(value: object) -> str:
    return OF_MATRIX if isinstance(value, str) else NUMBER


OF_MATRIX, NUMBER = "<matrix>", "<number>"
RiskScenarios = Annotated[
    Annotated[Literal["matrix"], Tag(OF_MATRIX)]
    | Annotated[WholeNumber, Field(ge=1_000, le=100_000), WHOLE, Tag(NUMBER)],
    Discriminator(_risk_scenarios_form),
]


class Bounds(RequestModel):
    """Lower and upper limit of a sum of weights."""

    min: Fraction = Field(default=0.0, description="least fraction of capital, 0 to 1; default 0")
    max: Fraction = Field(default=1.0, description="largest fraction of capital, 0 to 1; default 1")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise Inconsistent([(("min",), self.min, f"must not exceed max ({self.max:g})")])
        return self


def _minima_fit(bounds: Mapping[str, Bounds]) -> Mapping[str, Bounds]:
    total = math.fsum(limits.min for limits in bounds.values())
    if total > 1 + SUM_TOLERANCE:
        which = ", ".join(f"{name} {limits.min:g}" for name, limits in bounds.items() if limits.min > 0)
        raise Inconsistent([((), total, f"is the sum of the minima ({which}); it must not exceed 1")])
    return bounds


class BucketRequest(RequestModel):
    """One bucket and where it differs from its stage and sector. An absent figure comes from policy or calibration."""

    stage: Stage = Field(description="stage of the first check: Seed, A, B or C")
    sector: Name = Field(description="sector, 1 to 60 printable characters")
    median_moic: Positive | None = Field(
        default=None,
        validation_alias=AliasChoices("medianMoic", "medianMOIC"),
        description="median multiple of the deals that exit, on allocated capital, above 0; default the calibration's",
    )
    p90_moic: Positive | None = Field(
        default=None,
        validation_alias=AliasChoices("p90Moic", "p90MOIC"),
        description="90th percentile of the same multiple, above the median; default the calibration's",
    )
    reserve_ratio: NotNegative | None = Field(
        default=None, description="reserves / first check, 0 or more; default the policy's, else the calibration's"
    )
    initial_check_size: Positive | None = Field(
        default=None, description="first check in USD, above 0; default the policy's, else the calibration's"
    )
    check_size_cv: NotNegative | None = Field(
        default=None,
        validation_alias=AliasChoices("checkSizeCv", "checkSizeCV"),
        description="standard deviation / mean of the check, 0 or more; default the policy's, else the calibration's",
    )
    rounds_to_exit: NotNegative | None = Field(
        default=None, description="financing rounds until exit, 0 or more; default the policy's, else the calibration's"
    )
    sector_risk_multiplier: Positive | None = Field(
        default=None,
        description="times the failure rate, above 0; default the policy's, else the calibration's, else 1",
    )
    sector_return_multiplier: Positive | None = Field(
        default=None,
        description="times the exit multiples, above 0; default the policy's, else the calibration's, else 1",
    )


class BucketGrid(RequestModel):
    """A bucket for every stage in every sector."""

    stages: NotEmpty[Stage] | None = Field(
        default=None, description="stages, each once; default all of the calibration"
    )
    sectors: NotEmpty[Name] | None = Field(
        default=None, description="sectors, each once; default all of the calibration"
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        found = [
            ((field,), value, "is named twice: bucket keys must be unique")
            for field, values in (("stages", self.stages), ("sectors", self.sectors))
            for value, n in Counter(values or ()).items()
            if n > 1
        ]
        if found:
            raise Inconsistent(found)
        return self


LISTED, GRID = "<listed>", "<grid>"


def _each_bucket_once(buckets: tuple[BucketRequest, ...]) -> tuple[BucketRequest, ...]:
    first: dict[str, int] = {}
    found = []
    for position, bucket in enumerate(buckets):
        key = bucket_id(bucket.stage, bucket.sector)
        if first.setdefault(key, position) != position:
            found.append(((position,), key, f"is also bucket [{first[key]}]: bucket keys must be unique"))
    if found:
        raise Inconsistent(found)
    return buckets


def _buckets_form(value: object) -> str | None:
    if isinstance(value, list | tuple):
        return LISTED
    return GRID if isinstance(value, dict | BucketGrid) else None


ListedBuckets = Annotated[NotEmpty[BucketRequest], AfterValidator(_each_bucket_once)]
Buckets = Annotated[
    Annotated[ListedBuckets, Tag(LISTED)] | Annotated[BucketGrid, Tag(GRID)],
    Discriminator(
        _buckets_form,
        custom_error_type="buckets_form",
        custom_error_message="must be a list of buckets, or an object with stages and sectors",
    ),
]


class PolicyRequest(RequestModel):
    """The fund's own deal terms where they differ from the calibration's. A bucket's own figure goes before these."""

    reserve_ratio_by_stage: dict[Stage, NotNegative] = Field(
        default={}, description="reserves / first check by stage, 0 or more; default the calibration's"
    )
    initial_check_size_by_stage: dict[Stage, Positive] = Field(
        default={}, description="first check in USD by stage, above 0; default the calibration's"
    )
    check_size_cv_by_stage: dict[Stage, NotNegative] = Field(
        default={}, description="standard deviation / mean of the check by stage, 0 or more; default the calibration's"
    )
    rounds_to_exit_by_stage: dict[Stage, NotNegative] = Field(
        default={}, description="financing rounds until exit by stage, 0 or more; default the calibration's"
    )
    dilution_per_round_pct: FractionBelowOne | None = Field(
        default=None, description="fraction of a stake lost in each round, 0 to below 1; default the calibration's"
    )
    option_pool_refresh_pct: FractionBelowOne | None = Field(
        default=None, description="fraction lost to the option pool each round, 0 to below 1; default the calibration's"
    )
    pro_rata_participation_rate: Fraction | None = Field(
        default=None,
        description="fraction of its pro-rata right that the fund takes, 0 to 1; default the calibration's",
    )
    sector_risk_multipliers: dict[Name, Positive] = Field(
        default={}, description="times the failure rate by sector, above 0; default the calibration's, else 1"
    )
    sector_return_multipliers: dict[Name, Positive] = Field(
        default={}, description="times the exit multiples by sector, above 0; default the calibration's, else 1"
    )


class OptimizationRequest(RequestModel):
    """Ask where a fund's capital should go. Fractions are 0 to 1, money is USD, multiples are on allocated capital."""

    fund_id: UUID = Field(description="the fund, a UUID")
    total_fund_size: Positive = Field(description="capital to allocate in USD, above 0")
    max_loss_probability: Fraction = Field(
        description="largest fraction of scenarios in which the fund may return less than it invested, 0 to 1"
    )
    cvar_confidence_level: FractionBelowOne = Field(
        default=0.95, description="confidence of the CVaR, 0 to below 1; 0.95 (default) looks at the worst 5%"
    )
    cvar_limit: Fraction = Field(description="largest mean loss in the worst scenarios, fraction of capital, 0 to 1")
    min_expected_winners: NotNegative = Field(
        default=0.0, description="least expected number of winners (winnerMultiple), 0 or more; default 0"
    )
    sector_bounds: Annotated[dict[Name, Bounds], AfterValidator(_minima_fit)] = Field(
        default={}, description="limits by sector: {sector: {min, max}}; default none"
    )
    stage_bounds: Annotated[dict[Stage, Bounds], AfterValidator(_minima_fit)] = Field(
        default={}, description="limits by stage: {stage: {min, max}}; default none"
    )
    bucket_max_weight: Fraction | None = Field(
        default=None, description="largest weight of one bucket, 1 / number of buckets to 1; default none: no cap"
    )
    buckets: Buckets | None = Field(
        default=None,
        description="where the fund may invest: a list of buckets, or {stages, sectors} for every pair; "
        "default all stages and sectors of the calibration",
    )
    scenario_gen_config: ScenarioGenConfig = Field(
        default=ScenarioGenConfig(), description="how scenarios are simulated"
    )
    policy: PolicyRequest = Field(
        default=PolicyRequest(),
        description="deal terms that replace the calibration's; by stage or sector as {name: value}",
    )
    taxonomy_version: Name = Field(default="v1", description="version of the stage and sector names; default v1")
    model_version: ModelVersion = Field(
        default="three_component_v2", description="version of the scenario model; default three_component_v2"
    )
    calibration_version: VersionName | None = Field(
        default=None, description="version of the calibration; default the newest of the fund"
    )
    relaxation_mode: RelaxationMode = Field(
        default="minimal",
        description="what to do when no portfolio meets every limit: minimal (default) moves limits no further than "
        "it must, off refuses",
    )
    primary_lock_epsilon: NotNegative = Field(
        default=0.001, description="MOIC that spreading capital evenly may cost, 0 or more; default 0.001"
    )
    expectations: ExpectationsMode = Field(
        default="distribution",
        description="where expected multiples and chances to win come from: distribution (default), exact, or sample, "
        "the mean over the scenarios, as version 0.1 had it",
    )
    risk_scenarios: RiskScenarios | None = Field(
        default=None,
        description="scenarios for the limits on loss and CVaR: a number from 1,000 to 100,000, or matrix for those of "
        'the matrix; default 20,000, or matrix with expectations "sample"',
    )
    validation_scenarios: Annotated[WholeNumber, Field(ge=100, le=1_000_000), WHOLE] | None = Field(
        default=None,
        description="scenarios the answer is tested on out of sample, 100 to 1,000,000; default 50,000, or 5,000 with "
        'expectations "sample"',
    )
    work_limit: Annotated[WholeNumber, Field(ge=1, le=2**31 - 1), WHOLE] = Field(
        default=60_000,
        description="units of work for each pass of the optimization, 1 to 2^31 - 1; default 60,000",
    )
