"""The result of a completed session as a model, for the OpenAPI document. docs/reference/result.md says what it means.

Answers are sent as they are stored, not through this model: a test holds the two together.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Holds = Literal["yes", "no", "within_error"]


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class Holding(_Part):
    """One bucket; those that get nothing are listed, too. weight: fraction of the fund; amounts in USD."""

    bucket_id: str = Field(examples=["Seed_AI"])
    stage: str
    sector: str
    weight: float = Field(examples=[0.15])
    dollar_amount: float
    deal_count: int
    avg_check_size: float
    reserve_ratio: float
    all_in_cost_per_deal: float


class ShadowPrice(_Part):
    """What loosening a limit would bring, in expected MOIC."""

    basis: Literal["dual_with_fixed_losses", "one_more_losing_scenario"]
    gain_per_unit: float | None
    step: float
    gain: float | None
    gain_at_least: float | None
    gain_at_most: float | None


class Constraint(_Part):
    """required: the limit that was enforced; relaxedFrom: the one that was asked for, where it was moved."""

    constraint_id: str = Field(examples=["cvar_max"])
    type: str
    required: float
    actual: float
    slack: float
    satisfied: bool
    binding: bool
    relaxed_from: float | None
    price: ShadowPrice | None


class Relaxation(_Part):
    constraint_id: str
    constraint_type: str
    direction: Literal["increase", "decrease"]
    old_value: float
    new_value: float
    violation: float
    proven_violation: float
    explanation: str = Field(examples=["No portfolio within the limits on CVaR has more than 1.73 expected winners."])


class SingleLimitRepair(_Part):
    constraint_id: str
    asked: float
    proven: float | None
    achieved: float | None
    explanation: str


class ConflictDocument(_Part):
    """Limits that together admit no portfolio, and how far each alone would have to move."""

    constraints: list[str]
    single_limit_repairs: list[SingleLimitRepair]


class OtherPortfolio(_Part):
    """As close to equal weights as the answer. difference: of the bucket's weight, the largest there is."""

    bucket_id: str
    difference: float
    weights: list[float]


class TieBreak(_Part):
    """unique: whether no other portfolio is as close to equal weights; null where that was not settled."""

    model_config = ConfigDict(extra="allow")

    deviation: float
    deviation_bound: float | None
    proven: bool
    unique: bool | None = None
    witness: OtherPortfolio | None = None


class Solver(_Part):
    """The audit of the optimization: how good the answer is proven to be, and what it took."""

    model_config = ConfigDict(extra="allow")

    status: Literal["optimal", "feasible"]
    objective: float
    bound: float
    gap: float
    work: int
    nodes: int
    reproducible: bool
    backend: str
    fallback: str | None
    settings: dict[str, Any]
    tie_break: TieBreak
    pass1_seconds: float
    pass2_seconds: float | None
    prices_complete: bool


class Estimate(_Part):
    """95% interval low to high."""

    value: float
    low: float
    high: float
    standard_error: float | None


class LimitedEstimate(Estimate):
    """violation: of the value. scenariosToSettle: how many would tell, where holdsOutOfSample is within_error."""

    limit: float
    violation: float
    holds_out_of_sample: Holds
    required_sample_size: int | None


class RegimeFigures(_Part):
    regime: str
    probability: float
    figures: dict[str, Any] | None


class OutOfSample(_Part):
    """The portfolio in fresh scenarios, which no choice was made on."""

    scenarios: int
    expected_moic: Estimate
    optimism_gap: float
    loss_probability: LimitedEstimate
    cvar: LimitedEstimate
    expected_winners: LimitedEstimate
    by_regime: list[RegimeFigures]


class WholeDeals(_Part):
    """The portfolio as it can be bought: whole deals, and the cash that is left."""

    deal_count: int
    uninvested_usd: float
    in_sample: dict[str, Any]
    bound_violations: dict[str, float]
    out_of_sample: OutOfSample


class RivalDocument(_Part):
    name: str
    expected_moic: float
    difference: float
    standard_error: float | None
    within_noise: bool
    required_sample_size: int | None
    feasible: bool


class Validation(_Part):
    feasible: bool
    max_loss_violation: float
    cvar_violation: float
    winner_count_violation: float
    budget_violation: float
    bound_violations: dict[str, float]
    standard_errors: dict[str, float | None]
    bucket_stats: list[dict[str, Any]] = []
    generated: dict[str, Any] | None
    greedy_objective: float
    greedy_feasible: bool
    comparison_portfolios: list[RivalDocument]
    out_of_sample: OutOfSample
    whole_deals: WholeDeals


class ResultDocument(_Part):
    """Weights and probabilities are fractions, amounts USD, times seconds."""

    session_id: UUID
    fund_id: UUID
    status: Literal["COMPLETED"]
    error_code: None
    error_reason: None
    matrix_key: str
    matrix_cache: Literal["generated", "hit"]
    expected_moic: float = Field(examples=[2.06])
    loss_probability: float = Field(examples=[0.165])
    cvar: float = Field(examples=[0.35])
    expected_winners: float = Field(examples=[1.73])
    allocation: list[Holding]
    constraints: list[Constraint]
    relaxations: list[Relaxation]
    conflict: ConflictDocument | None
    solver: Solver
    validation: Validation
    pass1_e_star: float = Field(alias="pass1EStar", description="best expected MOIC of the first pass")
    primary_lock_epsilon: float
    calibration_version: str
    model_version: str
    timings: dict[str, float | None] = Field(description="seconds by stage")
