"""What an optimization answers: the allocation, its limits on the matrix, and how good it is proven to be."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.portfolio.problem import ConstraintType
from core.result.document import Document
from core.result.figures import SampleFigures


class Holding(Document):
    """One bucket; those that get nothing are listed, too. weight: fraction of the fund; amounts in USD."""

    bucket_id: str = Field(examples=["Seed_AI"], description="stage and sector")
    stage: str = Field(examples=["Seed"], description="of the bucket")
    sector: str = Field(examples=["AI"], description="of the bucket")
    weight: float = Field(examples=[0.15], description="fraction of the fund; all weights add up to 1")
    dollar_amount: float = Field(description="weight x fund size in cents that add up to the fund, USD")
    deal_count: int = Field(description="whole deals that the dollars buy")
    avg_check_size: float = Field(description="initial check of a deal, USD")
    reserve_ratio: float = Field(description="reserves as a multiple of the initial check")
    all_in_cost_per_deal: float = Field(description="initial check x (1 + reserve ratio), USD")
    expected_moic: float | None = Field(
        default=None, description="of the bucket by its distribution; null where only a sample is known"
    )
    win_probability: float | None = Field(
        default=None, description="that a deal returns the winner multiple or more, by the distribution"
    )


class ShadowPrice(Document):
    """What loosening a limit would bring, in expected MOIC."""

    basis: Literal["dual_with_fixed_losses", "one_more_losing_scenario"] = Field(
        description="the dual of the program with its losing scenarios fixed, or a solve with one more losing scenario"
    )
    gain_per_unit: float | None = Field(description="expected MOIC per 1.0 of the limit, or per expected winner")
    step: float = Field(description="the step that `gain` is for, in the limit's unit")
    gain: float | None = Field(description="expected MOIC gained by that step")
    gain_at_least: float | None = Field(default=None, description="what of the gain is proven")
    gain_at_most: float | None = Field(default=None, description="what no portfolio can gain more than")


class Constraint(Document):
    """A limit on the matrix. required: as enforced; relaxedFrom: as asked, where it was moved."""

    constraint_id: str = Field(
        examples=["cvar_max"], description="class of the limit, and after a colon the sector or stage"
    )
    type: ConstraintType = Field(description="class of the limit")
    required: float = Field(description="the limit as enforced")
    actual: float = Field(description="what the weights have on the matrix")
    slack: float = Field(description="room left, negative where the limit is broken")
    satisfied: bool = Field(description="whether the weights keep it on the matrix")
    binding: bool = Field(description="whether no room is left")
    relaxed_from: float | None = Field(default=None, description="the limit as asked, where it was relaxed")
    tightened_to: float | None = Field(
        default=None,
        description="what was enforced on the scenarios chosen on, so that the limit holds on others; null where that "
        "is the limit itself",
    )
    price: ShadowPrice | None = Field(
        default=None, description="what loosening it would bring; null where it costs nothing or is not known"
    )

    @property
    def asked(self) -> float:
        return self.required if self.relaxed_from is None else self.relaxed_from


class Relaxation(Document):
    """A limit that was moved because no portfolio meets all of them as asked."""

    constraint_id: str = Field(description="which limit")
    constraint_type: ConstraintType = Field(description="its class")
    direction: Literal["increase", "decrease"] = Field(description="which way it was moved")
    old_value: float = Field(description="as asked")
    new_value: float = Field(description="as enforced")
    violation: float = Field(description="by how much the limits of its class were moved in all")
    proven_violation: float = Field(description="by how much they had to be moved at least")
    explanation: str = Field(
        description="why, in a sentence",
        default="",
        examples=["No portfolio within the limits on CVaR has more than 1.73 expected winners."],
    )


class SingleLimitRepair(Document):
    """How far one limit of a conflict would have to move if all others stay."""

    constraint_id: str = Field(description="which limit")
    asked: float = Field(description="its value in the request")
    proven: float | None = Field(
        description="the value that it must have at least (at most, for a minimum); null where none is proven"
    )
    achieved: float | None = Field(description="a value at which a portfolio was found; null where none was")
    explanation: str = Field(description="the repair in a sentence")


class Conflict(Document):
    """An irreducible conflict: limits that together admit no portfolio, and the single repairs that would do."""

    constraints: tuple[str, ...] = Field(
        description="ids of the limits that together admit no portfolio, while without any one of them the others do"
    )
    single_limit_repairs: tuple[SingleLimitRepair, ...] = Field(
        alias="waysOut", description="how each of them alone could be moved"
    )


class OtherPortfolio(Document):
    """As close to equal weights as the answer. difference: of the bucket's weight, the largest there is."""

    bucket_id: str = Field(description="bucket whose weight differs most")
    difference: float = Field(description="its weight less that in the answer")
    weights: tuple[float, ...] = Field(description="of all buckets, in the order of the allocation")


class TieBreak(Document):
    """unique: whether no other portfolio is as close to equal weights; null where that was not settled."""

    model_config = ConfigDict(extra="allow")

    deviation: float = Field(description="sum of absolute differences to equal weights")
    deviation_bound: float | None = Field(
        description="below which no portfolio as good falls; null where no bound is known"
    )
    proven: bool = Field(description="whether no other portfolio as good is closer")
    unique: bool | None = Field(
        default=None, description="whether no other portfolio is as close; null where that was not settled"
    )
    witness: OtherPortfolio | None = Field(default=None, description="another portfolio as close, where there is one")
    least_squares: bool | None = Field(
        default=None,
        description="whether a third solve chose, of the portfolios as close that lose in the same scenarios, the one "
        "of least squares, which is unique among them; null where none was asked for",
    )

    @property
    def asks_uniqueness(self) -> bool:
        """Whether the version that stored it asked at all."""
        return "unique" in self.model_fields_set


class ExpectationsSource(Document):
    """Where expected multiples and chances to win come from."""

    source: Literal["distribution", "sample"] = Field(description="the distribution itself, or a mean over scenarios")
    standard_error: float | None = Field(
        default=None, description="of the portfolio's expected MOIC; null for a sample, whose error is in validation"
    )


class TighteningRound(Document):
    """What was enforced on the scenarios chosen on, and what others said of the portfolio that it gave."""

    max_losses: int = Field(description="scenarios that could lose money")
    cvar_limit: float = Field(description="fraction of the capital")
    expected_moic: float | None = Field(default=None, description="null where no portfolio keeps what was enforced")
    scenarios: int | None = Field(default=None, description="of the estimate")
    loss_probability: float | None = Field(default=None, description="estimated")
    loss_probability_error: float | None = Field(default=None, description="its standard error")
    cvar: float | None = Field(default=None, description="estimated")
    cvar_error: float | None = Field(default=None, description="its standard error")


class TrueGap(Document):
    """How far the answer can be from the best portfolio of the distribution that keeps the limits there."""

    lower: float | None = Field(
        description="the answer's expected MOIC by the distribution; null where its limits are not shown to hold"
    )
    upper: float | None = Field(description="no portfolio that keeps the limits in truth expects more")
    confidence: float = Field(description="of the upper end; 1 where it rests on no sample")


class Solver(Document):
    """The audit of the optimization: how good the answer is proven to be on its scenarios, and what it took."""

    model_config = ConfigDict(extra="allow")

    status: Literal["optimal", "feasible"] = Field(
        description="optimal: proven; feasible: the work limit was reached before"
    )
    objective: float = Field(description="expected MOIC of the primary solve")
    bound: float | None = Field(description="expected MOIC that nothing exceeds; null where none is known")
    gap: float | None = Field(description="(bound - objective) / objective")
    work: int = Field(description="units of work that were done")
    nodes: int = Field(description="of the branch and bound")
    reproducible: bool = Field(description="false where a time limit cut the search short")
    backend: str = Field(description="which solver answered")
    fallback: str | None = Field(default=None, description="why another solver than the first one answered")
    settings: dict[str, Any] = Field(default={}, description="of the solver")
    tie_break: TieBreak = Field(description="the choice among portfolios as good")
    pass1_seconds: float = Field(default=0.0, description="time of the primary solve")
    pass2_seconds: float | None = Field(default=None, description="time of the tie-break solve")
    pass3_seconds: float | None = Field(default=None, description="time of the least-squares solve")
    scenario_seconds: float | None = Field(default=None, description="time to draw the scenarios for the risk")
    prices_complete: bool | None = Field(
        default=None, description="whether every shadow price was settled within the work limit"
    )
    expectations: ExpectationsSource = Field(
        default=ExpectationsSource(source="sample"), description="of multiples and winners"
    )
    risk_scenarios: int | None = Field(default=None, description="that loss and CVaR were limited on")
    even_sectors: tuple[tuple[str, ...], ...] = Field(
        default=(), description="groups of sectors that the calibration does not tell apart, which share evenly"
    )
    tightening: tuple[TighteningRound, ...] | None = Field(
        default=None, description="rounds in which limits were tightened; null where none were"
    )
    tightened_inside: bool | None = Field(
        default=None, description="whether the last round's estimate lies the margin inside every limit"
    )
    true_gap: TrueGap | None = Field(
        default=None, description="against the distribution; null where only a sample is known or limits were relaxed"
    )


class Bounds(BaseModel):
    """Lower and upper limit of a sum of weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: float = Field(description="fraction of the fund")
    max: float = Field(description="fraction of the fund")


class EnforcedLimits(BaseModel):
    """The limits that the program enforced on the matrix; stored with snake_case keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_losses: int = Field(description="scenarios that may lose money")
    cvar_limit: float = Field(description="fraction of the capital")
    cvar_confidence: float = Field(description="share of scenarios outside of the tail")
    min_expected_winners: float = Field(description="companies")
    bucket_max_weight: float | None = Field(description="fraction of the fund; null for no maximum")
    sector_bounds: dict[str, Bounds] = Field(description="by sector")
    stage_bounds: dict[str, Bounds] = Field(description="by stage")


class Optimization(Document):
    """What the optimization of a session stores beside its allocation."""

    schema_version: int = Field(default=1, description="of the result")
    figures: SampleFigures = Field(description="of the weights on the matrix")
    constraints: tuple[Constraint, ...] = Field(description="every limit on the matrix")
    relaxations: tuple[Relaxation, ...] = Field(description="limits that were moved")
    conflict: Conflict | None = Field(default=None, description="why they had to be")
    limits: EnforcedLimits = Field(description="as enforced")
    solver: Solver = Field(description="how good the answer is proven to be")
