"""The part of a request that says which scenarios are simulated."""

from __future__ import annotations

import math
from collections import Counter
from typing import Annotated, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from core.calibration.snapshot import REFERENCE_REGIMES
from core.request.correlation import contradictions
from core.request.fields import (
    WHOLE,
    Flag,
    Fraction,
    FractionBelowOne,
    Inconsistent,
    Location,
    Name,
    NotEmpty,
    NotNegative,
    Number,
    Positive,
    RequestModel,
    SignedFraction,
    WholeNumber,
)
from core.simulation.inputs import MOST_GENERATED

PROBABILITY_SUM_TOLERANCE = 1e-6


class ShockRange(RequestModel):
    """The range a regime's shock is uniform in; ends given the wrong way round are swapped."""

    min: SignedFraction = Field(description="one end, dimensionless, from -1 (worst) to 1 (best)")
    max: SignedFraction = Field(description="the other end, dimensionless, from -1 (worst) to 1 (best)")


class RegimeRequest(RequestModel):
    """A state of the economy that a whole scenario is in."""

    name: Name = Field(description="its name, e.g. 'recession', once in the list; at most 60 characters")
    probability: Fraction = Field(description="fraction of scenarios in it, 0 to 1; all regimes together 1 (+-1e-6)")
    shock_ranges: ShockRange = Field(description="range of the regime's shock on multiples")


DEFAULT_REGIMES = tuple(
    RegimeRequest(
        name=regime.name,
        probability=regime.probability,
        shock_ranges=ShockRange(min=regime.shock_min, max=regime.shock_max),
    )
    for regime in REFERENCE_REGIMES
)

ROWS, LABELLED = "<rows>", "<labelled>"


def _checked_rows(rows: CorrelationRows) -> CorrelationRows:
    found = contradictions(rows)
    if found:
        raise Inconsistent(found)
    return rows


CorrelationRows = tuple[tuple[SignedFraction, ...], ...]
CorrelationValues = Annotated[CorrelationRows, AfterValidator(_checked_rows)]


class LabelledCorrelation(RequestModel):
    """Correlations between sectors in an order of the request's own."""

    sectors: tuple[Name, ...] = Field(description="the sectors of the buckets, each once, in the order of the rows")
    values: CorrelationValues = Field(
        description="rows of correlations, -1 to 1, symmetric, diagonal 1, positive semi-definite"
    )

    @model_validator(mode="after")
    def _one_label_a_row(self) -> Self:
        found: list[tuple[Location, object, str]] = [
            (("sectors",), sector, "is named twice") for sector, n in Counter(self.sectors).items() if n > 1
        ]
        if len(self.sectors) != len(self.values):
            rule = f"must be as many as the rows of values ({len(self.values)})"
            found.append((("sectors",), list(self.sectors), rule))
        if found:
            raise Inconsistent(found)
        return self


def _correlation_form(value: object) -> str | None:
    if isinstance(value, list | tuple):
        return ROWS
    return LABELLED if isinstance(value, dict | LabelledCorrelation) else None


Correlation = Annotated[
    Annotated[CorrelationValues, Tag(ROWS)] | Annotated[LabelledCorrelation, Tag(LABELLED)],
    Discriminator(
        _correlation_form,
        custom_error_type="correlation_form",
        custom_error_message="must be a list of rows, or an object with sectors and values",
    ),
]


class RegimeConfig(RequestModel):
    """The regimes and how sectors move together."""

    regimes: NotEmpty[RegimeRequest] = Field(
        default=DEFAULT_REGIMES,
        description="regimes; default base .5 in [-.3, .3], boom .25 in [.3, 1], recession .25 in [-1, -.3]",
    )
    correlation_matrix: Correlation | None = Field(
        default=None,
        description="correlations between sectors: rows in sorted order of the sectors, or {sectors, values}; "
        "default none: sectors are independent",
    )

    @model_validator(mode="after")
    def _regimes_cover_the_world_once(self) -> Self:
        names = Counter(regime.name for regime in self.regimes)
        found: list[tuple[Location, object, str]] = [
            (("regimes",), name, "names two regimes; each name must be unique") for name, n in names.items() if n > 1
        ]
        total = math.fsum(regime.probability for regime in self.regimes)
        # Three times 0.333333 is off by 1e-6 and a last bit.
        if abs(total - 1) > PROBABILITY_SUM_TOLERANCE + 1e-12:
            found.append((("regimes",), total, "is the sum of the probabilities; it must be 1 (within 1e-6)"))
        if found:
            raise Inconsistent(found)
        return self


class RecyclingConfig(RequestModel):
    """Re-investment of proceeds into new deals of the same bucket."""

    enabled: Flag = Field(default=False, description="whether proceeds are recycled; default false")
    utilization: Fraction = Field(default=0.5, description="fraction of proceeds recycled, 0 to 1; default 0.5")
    cash_multiple: Positive = Field(default=1.0, description="multiple on recycled proceeds, above 0; default 1")
    max_recycle_deals: Annotated[WholeNumber, Field(ge=0, le=1_000), WHOLE] = Field(
        default=3, description="most new deals per bucket and scenario, 0 to 1,000; default 3"
    )
    recycling_cap: NotNegative = Field(
        default=0.2,
        description="largest recycled amount, fraction of allocated capital, 0 or more; default 0.2 (v2 only)",
    )


class VarianceShares(RequestModel):
    """What makes the mean log multiple of a group of companies of one sector vary."""

    regime: Annotated[Number, Field(ge=0.4, le=0.6)] = Field(
        default=0.5, description="fraction of the variance that is the economy's, 0.4 to 0.6; default 0.5"
    )
    sector: Annotated[Number, Field(ge=0.2, le=0.3)] = Field(
        default=0.25, description="fraction that is the sector's, 0.2 to 0.3; default 0.25"
    )
    own: Annotated[Number, Field(ge=0.2, le=0.3)] = Field(
        default=0.25, description="fraction that is the companies' own, 0.2 to 0.3; default 0.25"
    )

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.regime + self.sector + self.own
        if abs(total - 1) > PROBABILITY_SUM_TOLERANCE + 1e-12:
            raise Inconsistent([((), total, "is the sum of the three shares; it must be 1 (within 1e-6)")])
        return self


class ScenarioGenConfig(RequestModel):
    """How many scenarios, and of what kind."""

    scenario_count: Annotated[WholeNumber, Field(ge=1, le=100_000), WHOLE] = Field(
        default=400, description="number of scenarios, 1 to 100,000; default 400"
    )
    generated_scenarios: Annotated[WholeNumber, Field(ge=2, le=MOST_GENERATED), WHOLE] | None = Field(
        default=None,
        description="generate this many scenarios and optimize on scenarioCount that stand for them, up to 10,000, "
        "more than scenarioCount; default none: every scenario is used",
    )
    regime_config: RegimeConfig = Field(default=RegimeConfig(), description="regimes and correlations of sectors")
    recycling_config: RecyclingConfig = Field(default=RecyclingConfig(), description="re-investment; default disabled")
    max_rounds: Annotated[WholeNumber, Field(ge=1, le=100), WHOLE] = Field(
        default=10, description="financing rounds after which a company that has not exited has failed, 1 to 100"
    )
    winner_multiple: Positive = Field(
        default=10.0, description="MOIC on allocated capital from which a company is a winner, above 0; default 10"
    )
    companies_per_bucket: Annotated[WholeNumber, Field(ge=1, le=1_000), WHOLE] = Field(
        default=10, description="companies that a bucket's multiple is the mean of, 1 to 1,000; default 10 (v2 only)"
    )
    variance_shares: VarianceShares = Field(
        default=VarianceShares(), description="how far companies hang together through economy and sector (v2 only)"
    )
    share_group_size: Annotated[Number, Field(ge=1, le=10_000)] = Field(
        default=30.0,
        description="companies in the group that varianceShares hold for, 1 to 10,000; default 30 (v2 only)",
    )
    transition_correlation: FractionBelowOne = Field(
        default=0.05, description="how far failures hang together, 0 to below 1; default 0.05 (v2 only)"
    )
    outcome_cap: Annotated[Number, Field(gt=0, le=1_000_000)] = Field(
        default=250.0,
        description="largest multiple of an exit before dilution, above every 90th percentile, at most 1,000,000; "
        "default 250 (v2 only)",
    )

    @model_validator(mode="after")
    def _more_are_generated_than_kept(self) -> Self:
        generated = self.generated_scenarios
        if generated is not None and generated <= self.scenario_count:
            rule = f"must exceed scenarioCount ({self.scenario_count}), which are chosen from them"
            raise Inconsistent([(("generated_scenarios",), generated, rule)])
        return self
