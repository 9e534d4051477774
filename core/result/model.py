"""The result as data: what is stored, printed as JSON, described in the OpenAPI document and read by every view.

Attributes are snake_case, JSON keys camelCase; keys are public and keep their names. Weights and probabilities are
fractions, amounts USD, times seconds. `schemaVersion` 1 is what version 0.1 stored, without a verdict; fields that its
earliest results lack have defaults here, so that they can still be read.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from core.result.document import Document
from core.result.figures import (
    BucketFigures,
    ComparisonPortfolio,
    Estimate,
    Figures,
    FiguresWithErrors,
    GeneratedScenarios,
    Holds,
    LimitedEstimate,
    OutOfSample,
    Reduction,
    RegimeFigures,
    RiskDifference,
    SampleFigures,
    ScenarioFigures,
    StandardErrors,
    WassersteinDistances,
    WholeDeals,
)
from core.result.solution import (
    Bounds,
    Conflict,
    Constraint,
    EnforcedLimits,
    Holding,
    Optimization,
    OtherPortfolio,
    Relaxation,
    ShadowPrice,
    SingleLimitRepair,
    Solver,
    TieBreak,
)

__all__ = [
    "SCHEMA_VERSION",
    "Answer",
    "Basis",
    "BasisVerdict",
    "Bounds",
    "BucketFigures",
    "ComparisonPortfolio",
    "Conflict",
    "Constraint",
    "Document",
    "EnforcedLimits",
    "Estimate",
    "FigureName",
    "Figures",
    "FiguresWithErrors",
    "GeneratedScenarios",
    "Holding",
    "Holds",
    "LimitStatus",
    "LimitedEstimate",
    "MatrixFacts",
    "MatrixResult",
    "Optimization",
    "OtherPortfolio",
    "OutOfSample",
    "Reduction",
    "RegimeFigures",
    "Relaxation",
    "Result",
    "RiskDifference",
    "SampleFigures",
    "ScenarioFigures",
    "ShadowPrice",
    "SingleLimitRepair",
    "Solver",
    "StandardErrors",
    "StoredValidation",
    "TieBreak",
    "Timings",
    "Validation",
    "Verdict",
    "VerdictLimit",
    "WassersteinDistances",
    "WholeDeals",
]

SCHEMA_VERSION = 2

FigureName = Literal["expectedMoic", "lossProbability", "cvar", "expectedWinners"]
LimitStatus = Literal["holds", "within_error", "broken"]
Basis = Literal["weights", "whole_deals"]


class VerdictLimit(Document):
    """One limit, judged as asked by the worse of the weights and the whole deals that they buy.

    Bounds of weights have no sampling error.
    """

    constraint_id: str = Field(description="which limit")
    asked: float = Field(description="its value in the request")
    enforced: float = Field(description="its value after relaxation")
    figure: float = Field(description="of the worse of weights and whole deals")
    low: float | None = Field(description="lower end of its 95% interval; null where it has no sampling error")
    high: float | None = Field(description="upper end of its 95% interval")
    basis: Basis = Field(description="which of the two the figure is of")
    out_of_sample: bool = Field(description="whether it comes from scenarios that the portfolio was not chosen on")
    status: LimitStatus = Field(
        description="holds, broken, or within_error: the interval lies on both sides of the limit"
    )
    sentence: str = Field(description="the verdict on this limit in words")


class BasisVerdict(Document):
    """The verdict on one of the two: the weights, or the whole deals that they buy."""

    status: LimitStatus = Field(description="of its worst limit")
    sentence: str = Field(description="all of it in one sentence")


class Verdict(Document):
    """Whether what is bought keeps the limits as asked. notes: what a partner should know beside it."""

    status: LimitStatus = Field(description="of the worst limit; broken where no deal is bought")
    sentence: str = Field(description="all of it in one sentence")
    limits: tuple[VerdictLimit, ...] = Field(description="every limit that was asked for")
    weights: BasisVerdict | None = Field(default=None, description="on the weights alone; null in older results")
    whole_deals: BasisVerdict | None = Field(
        default=None, description="on the whole deals bought alone; null in older results"
    )
    notes: tuple[str, ...] = Field(default=(), description="what a reader should know beside it")


class Validation(Document):
    """Every limit checked again on the matrix, and the portfolio out of sample, as weights and as whole deals."""

    feasible: bool = Field(description="whether the weights keep every limit as enforced on the matrix")
    max_loss_violation: float = Field(description="share of scenarios that lose money beyond what is allowed")
    cvar_violation: float = Field(description="fraction of the capital beyond the limit")
    winner_count_violation: float = Field(description="companies short of the limit")
    budget_violation: float = Field(description="by how much the weights miss a sum of 1")
    bound_violations: dict[str, float] = Field(
        description="constraint id to the fraction of the fund by which it is overstepped"
    )
    standard_errors: StandardErrors = Field(default=StandardErrors(), description="of the figures on the matrix")
    bucket_stats: tuple[BucketFigures, ...] = Field(default=(), description="each bucket alone on the matrix")
    generated: GeneratedScenarios | None = Field(
        default=None, description="on all generated scenarios, where the matrix has a choice of them"
    )
    greedy_objective: float = Field(description="expected MOIC of the greedy portfolio")
    greedy_feasible: bool = Field(description="whether it keeps every limit")
    comparison_portfolios: tuple[ComparisonPortfolio, ...] = Field(
        default=(), alias="rivals", description="simpler portfolios in the same scenarios out of sample"
    )
    out_of_sample: OutOfSample = Field(description="the weights on scenarios that they were not chosen on")
    whole_deals: WholeDeals = Field(description="the portfolio as it can be bought")


class StoredValidation(Validation):
    """As a session stores it, with the verdict of the result. Of version 1 it has none."""

    schema_version: int = Field(default=1, description="of the result")
    verdict: Verdict | None = Field(default=None, description="as it was worded when the session completed")


class Timings(Document):
    """Seconds by stage, null for one that has not ended."""

    waiting: float | None = Field(description="before a run began")
    matrix: float | None = Field(description="scenarios")
    optimize: float | None = Field(description="optimization")
    validate_: float | None = Field(alias="validate", description="validation")
    total: float | None = Field(description="all of it")

    def items(self) -> tuple[tuple[str, float | None], ...]:
        """(stage, seconds), in the order of the stages."""
        names = ("waiting", "matrix", "optimize", "validate", "total")
        return tuple(zip(names, (self.waiting, self.matrix, self.optimize, self.validate_, self.total), strict=True))


class Answer(Document):
    """What every optimization answers, on a matrix of vcfolio's or on one of the user's own."""

    schema_version: int = Field(default=SCHEMA_VERSION, description="of this document; 1 had no verdict")
    verdict: Verdict = Field(description="whether what is bought keeps the limits as asked")
    expected_moic: float = Field(
        examples=[2.06], description="expected multiple by the distribution, or the mean over the scenarios chosen on"
    )
    loss_probability: float = Field(examples=[0.165], description="share of scenarios with a multiple below 1")
    cvar: float = Field(examples=[0.35], description="mean loss in the worst scenarios, fraction of the capital")
    expected_winners: float = Field(examples=[1.73], description="companies that return the winner multiple or more")
    allocation: tuple[Holding, ...] = Field(description="one entry a bucket, in the order of bucket ids")
    constraints: tuple[Constraint, ...] = Field(description="every limit on the matrix, for the weights")
    relaxations: tuple[Relaxation, ...] = Field(
        description="limits that were moved because no portfolio meets all of them as asked"
    )
    conflict: Conflict | None = Field(description="limits that together admit no portfolio; null where there are none")
    solver: Solver = Field(description="how good the answer is proven to be on its scenarios, and what it took")
    pass1_e_star: float = Field(alias="pass1EStar", description="best expected MOIC of the primary solve")
    primary_lock_epsilon: float = Field(description="what the tie-break may give up of it, in multiples")
    calibration_version: str = Field(description="that the scenarios were simulated with")
    model_version: str = Field(description="that simulated them")


class Result(Answer):
    """The result of a completed session, or of `vcfolio.optimize`, which has no session: sessionId is null then."""

    session_id: UUID | None = Field(description="null for a result without a session")
    fund_id: UUID = Field(description="whose request it was")
    status: Literal["COMPLETED"] = Field(default="COMPLETED", description="of the session")
    error_code: None = Field(default=None, description="of a session that failed")
    error_reason: None = Field(default=None, description="of a session that failed")
    matrix_key: str = Field(description="of the scenario matrix: the same inputs have the same")
    matrix_cache: Literal["generated", "hit"] | None = Field(
        description="whether the matrix was simulated for this session or was there"
    )
    validation: Validation = Field(description="the limits checked again, and the portfolio out of sample")
    timings: Timings = Field(description="seconds by stage")


class MatrixFacts(Document):
    """A matrix of the user's own."""

    buckets: int = Field(description="how many")
    scenarios: int = Field(description="how many")
    matrix_key: str | None = Field(description="where the file says one")


class MatrixResult(Answer):
    """The result on a matrix of the user's own: nothing but the matrix is known, so nothing is out of sample."""

    matrix: MatrixFacts = Field(description="what it was optimized on")
