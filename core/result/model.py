"""The result as data: what is stored, printed as JSON, described in the OpenAPI document and read by every view.

Attributes are snake_case, JSON keys camelCase; keys are public and keep their names. Weights and probabilities are
fractions, amounts USD, times seconds. `schemaVersion` 1 is what version 0.1 stored, without a verdict; fields that its
earliest results lack have defaults here, so that they can still be read.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from core.portfolio.problem import ConstraintType

SCHEMA_VERSION = 2

FigureName = Literal["expectedMoic", "lossProbability", "cvar", "expectedWinners"]
Holds = Literal["yes", "no", "within_error"]
LimitStatus = Literal["holds", "within_error", "broken"]
Basis = Literal["weights", "whole_deals"]


class Document(BaseModel):
    """Base of all parts of a result."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready, with public keys."""
        return self.model_dump(mode="json", by_alias=True)


class Holding(Document):
    """One bucket; those that get nothing are listed, too. weight: fraction of the fund; amounts in USD."""

    bucket_id: str = Field(examples=["Seed_AI"])
    stage: str = Field(examples=["Seed"])
    sector: str = Field(examples=["AI"])
    weight: float = Field(examples=[0.15], description="fraction of the fund; all weights add up to 1")
    dollar_amount: float = Field(description="weight x fund size in cents that add up to the fund, USD")
    deal_count: int = Field(description="whole deals that the dollars buy")
    avg_check_size: float = Field(description="initial check of a deal, USD")
    reserve_ratio: float = Field(description="reserves as a multiple of the initial check")
    all_in_cost_per_deal: float = Field(description="initial check x (1 + reserve ratio), USD")


class ShadowPrice(Document):
    """What loosening a limit would bring, in expected MOIC."""

    basis: Literal["dual_with_fixed_losses", "one_more_losing_scenario"]
    gain_per_unit: float | None = Field(description="expected MOIC per 1.0 of the limit, or per expected winner")
    step: float = Field(description="the step that `gain` is for, in the limit's unit")
    gain: float | None = Field(description="expected MOIC gained by that step")
    gain_at_least: float | None = None
    gain_at_most: float | None = None


class Constraint(Document):
    """A limit on the matrix. required: as enforced; relaxedFrom: as asked, where it was moved."""

    constraint_id: str = Field(examples=["cvar_max"])
    type: ConstraintType
    required: float
    actual: float
    slack: float
    satisfied: bool
    binding: bool
    relaxed_from: float | None = None
    price: ShadowPrice | None = None

    @property
    def asked(self) -> float:
        return self.required if self.relaxed_from is None else self.relaxed_from


class Relaxation(Document):
    """A limit that was moved because no portfolio meets all of them as asked."""

    constraint_id: str
    constraint_type: ConstraintType
    direction: Literal["increase", "decrease"]
    old_value: float
    new_value: float
    violation: float
    proven_violation: float
    explanation: str = Field(
        default="", examples=["No portfolio within the limits on CVaR has more than 1.73 expected winners."]
    )


class SingleLimitRepair(Document):
    """How far one limit of a conflict would have to move if all others stay."""

    constraint_id: str
    asked: float
    proven: float | None
    achieved: float | None
    explanation: str


class Conflict(Document):
    """An irreducible conflict: limits that together admit no portfolio, and the single repairs that would do."""

    constraints: tuple[str, ...]
    single_limit_repairs: tuple[SingleLimitRepair, ...] = Field(alias="waysOut")


class OtherPortfolio(Document):
    """As close to equal weights as the answer. difference: of the bucket's weight, the largest there is."""

    bucket_id: str
    difference: float
    weights: tuple[float, ...]


class TieBreak(Document):
    """unique: whether no other portfolio is as close to equal weights; null where that was not settled."""

    model_config = ConfigDict(extra="allow")

    deviation: float
    deviation_bound: float | None
    proven: bool
    unique: bool | None = None
    witness: OtherPortfolio | None = None

    @property
    def asks_uniqueness(self) -> bool:
        """Whether the version that stored it asked at all."""
        return "unique" in self.model_fields_set


class Solver(Document):
    """The audit of the optimization: how good the answer is proven to be on its scenarios, and what it took."""

    model_config = ConfigDict(extra="allow")

    status: Literal["optimal", "feasible"]
    objective: float
    bound: float | None
    gap: float | None
    work: int
    nodes: int
    reproducible: bool
    backend: str
    fallback: str | None = None
    settings: dict[str, Any] = {}
    tie_break: TieBreak
    pass1_seconds: float = 0.0
    pass2_seconds: float | None = None
    prices_complete: bool | None = None


class StandardErrors(Document):
    """Of the four figures, each in its own unit; null where a single scenario tells nothing of its error."""

    expected_moic: float | None = None
    loss_probability: float | None = None
    cvar: float | None = None
    expected_winners: float | None = None


class Figures(Document):
    """The four figures of a portfolio in some scenarios."""

    expected_moic: float
    loss_probability: float
    cvar: float
    expected_winners: float


class SampleFigures(Figures):
    """On the matrix. lossCount: how many of its scenarios lose money."""

    loss_count: int


class FiguresWithErrors(Figures):
    standard_errors: StandardErrors = StandardErrors()


class ScenarioFigures(FiguresWithErrors):
    """In so many scenarios. effectiveScenarios: as many equally weighted ones would know the mean as well."""

    scenarios: int
    effective_scenarios: float | None = None


class Estimate(Document):
    """A figure out of sample with its 95% interval, low to high."""

    value: float
    low: float
    high: float
    standard_error: float | None = None


class LimitedEstimate(Estimate):
    """An estimate beside the limit as enforced.

    violation: of the value. scenariosToSettle: how many would tell, where holdsOutOfSample is within_error.
    """

    limit: float | None = None
    violation: float = 0.0
    holds_out_of_sample: Holds | None = None
    required_sample_size: int | None = Field(default=None, alias="scenariosToSettle")


class RegimeFigures(Document):
    """The figures in the scenarios of one macro regime; null where none was drawn."""

    regime: str
    probability: float
    figures: ScenarioFigures | None


class OutOfSample(Document):
    """The portfolio in scenarios that it was not chosen on."""

    scenarios: int
    expected_moic: Estimate
    optimism_gap: float
    loss_probability: LimitedEstimate
    cvar: LimitedEstimate
    expected_winners: LimitedEstimate
    by_regime: tuple[RegimeFigures, ...] = ()


class WholeDeals(Document):
    """The portfolio as it can be bought: whole deals, and the cash that is left.

    boundViolations: by how much each bound, as enforced, is overstepped; constraint id to fraction of the fund.
    """

    deal_count: int
    uninvested_usd: float
    in_sample: FiguresWithErrors
    bound_violations: dict[str, float]
    out_of_sample: OutOfSample


class ComparisonPortfolio(Document):
    """A plainer portfolio in the same scenarios out of sample. difference: answer less this one, in multiples."""

    name: Literal["equal_weights", "greedy"]
    expected_moic: float | Estimate
    difference: float
    standard_error: float | None
    within_noise: bool
    required_sample_size: int | None = Field(default=None, alias="scenariosToSettle")
    feasible: bool

    @property
    def mean(self) -> float:
        return self.expected_moic.value if isinstance(self.expected_moic, Estimate) else self.expected_moic

    @property
    def outperforms(self) -> bool:
        """Whether it keeps every limit and is shown to be better than the answer."""
        return self.feasible and not self.within_noise and self.difference < 0


class BucketFigures(Document):
    """One bucket alone on the matrix."""

    bucket_id: str
    mean_moic: float
    standard_error: float | None
    median_moic: float
    p90_moic: float = Field(alias="p90Moic")
    loss_share: float
    win_probability: float


class WassersteinDistances(Document):
    mean_of_buckets: float
    largest_of_buckets: float
    largest_bucket: str
    equal_weights: float


class Reduction(Document):
    """What choosing some of the generated scenarios lost, in multiples."""

    generated: int
    kept: int
    wasserstein: WassersteinDistances
    largest_mean_error: float


class GeneratedScenarios(FiguresWithErrors):
    """The weights on all scenarios that were generated, of which the matrix has a choice."""

    feasible: bool
    reduction: Reduction


class VerdictLimit(Document):
    """One limit, judged as asked by the worse of the weights and the whole deals that they buy.

    figure, low, high: the worse one and its 95% interval; low and high are null where it has no sampling error.
    basis: which of the two it is of. outOfSample: whether the figure comes from scenarios the portfolio was not chosen
    on; bounds of weights need none.
    """

    constraint_id: str
    asked: float
    enforced: float
    figure: float
    low: float | None
    high: float | None
    basis: Basis
    out_of_sample: bool
    status: LimitStatus
    sentence: str


class Verdict(Document):
    """Whether what is bought keeps the limits as asked. notes: what a partner should know beside it."""

    status: LimitStatus
    sentence: str
    limits: tuple[VerdictLimit, ...]
    notes: tuple[str, ...] = ()


class Validation(Document):
    """Every limit checked again on the matrix, and the portfolio out of sample, as weights and as whole deals."""

    feasible: bool
    max_loss_violation: float
    cvar_violation: float
    winner_count_violation: float
    budget_violation: float
    bound_violations: dict[str, float]
    standard_errors: StandardErrors = StandardErrors()
    bucket_stats: tuple[BucketFigures, ...] = ()
    generated: GeneratedScenarios | None = None
    greedy_objective: float
    greedy_feasible: bool
    comparison_portfolios: tuple[ComparisonPortfolio, ...] = Field(default=(), alias="rivals")
    out_of_sample: OutOfSample
    whole_deals: WholeDeals


class StoredValidation(Validation):
    """As a session stores it, with the verdict of the result. Of version 1 it has none."""

    schema_version: int = 1
    verdict: Verdict | None = None


class Bounds(BaseModel):
    """Lower and upper limit of a sum of weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: float
    max: float


class EnforcedLimits(BaseModel):
    """The limits that the program enforced on the matrix; stored with snake_case keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_losses: int
    cvar_limit: float
    cvar_confidence: float
    min_expected_winners: float
    bucket_max_weight: float | None
    sector_bounds: dict[str, Bounds]
    stage_bounds: dict[str, Bounds]


class Optimization(Document):
    """What the optimization of a session stores beside its allocation."""

    schema_version: int = 1
    figures: SampleFigures
    constraints: tuple[Constraint, ...]
    relaxations: tuple[Relaxation, ...]
    conflict: Conflict | None = None
    limits: EnforcedLimits
    solver: Solver


class Timings(Document):
    """Seconds by stage, null for one that has not ended."""

    waiting: float | None
    matrix: float | None
    optimize: float | None
    validate_: float | None = Field(alias="validate")
    total: float | None

    def items(self) -> tuple[tuple[str, float | None], ...]:
        """(stage, seconds), in the order of the stages."""
        names = ("waiting", "matrix", "optimize", "validate", "total")
        return tuple(zip(names, (self.waiting, self.matrix, self.optimize, self.validate_, self.total), strict=True))


class Answer(Document):
    """What every optimization answers, on a matrix of vcfolio's or on one of the user's own."""

    schema_version: int = Field(default=SCHEMA_VERSION, description="of this document; 1 had no verdict")
    verdict: Verdict
    expected_moic: float = Field(examples=[2.06], description="mean multiple over the matrix's scenarios")
    loss_probability: float = Field(examples=[0.165], description="share of scenarios with a multiple below 1")
    cvar: float = Field(examples=[0.35], description="mean loss in the worst scenarios, fraction of the capital")
    expected_winners: float = Field(examples=[1.73], description="companies that return the winner multiple or more")
    allocation: tuple[Holding, ...]
    constraints: tuple[Constraint, ...]
    relaxations: tuple[Relaxation, ...]
    conflict: Conflict | None
    solver: Solver
    pass1_e_star: float = Field(alias="pass1EStar", description="best expected MOIC of the primary solve")
    primary_lock_epsilon: float = Field(description="what the tie-break may give up of it, in multiples")
    calibration_version: str
    model_version: str


class Result(Answer):
    """The result of a completed session, or of `vcfolio.optimize`, which has no session: sessionId is null then."""

    session_id: UUID | None
    fund_id: UUID
    status: Literal["COMPLETED"] = "COMPLETED"
    error_code: None = None
    error_reason: None = None
    matrix_key: str
    matrix_cache: Literal["generated", "hit"] | None
    validation: Validation
    timings: Timings


class MatrixFacts(Document):
    """A matrix of the user's own."""

    buckets: int
    scenarios: int
    matrix_key: str | None


class MatrixResult(Answer):
    """The result on a matrix of the user's own: nothing but the matrix is known, so nothing is out of sample."""

    matrix: MatrixFacts
