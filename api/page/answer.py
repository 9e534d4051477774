"""A completed session as the page shows it: from the result to view models. What is said of it, `core.result` words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api.page.figures import duration
from core.formatting import multiple, percent, signed_multiple
from core.result.model import (
    ComparisonPortfolio,
    Holding,
    LimitStatus,
    OutOfSample,
    Result,
    Verdict,
    VerdictLimit,
)
from core.result.sentences import optimism_sentence, proof_sentences, whole_deals_sentence
from core.result.wording import (
    COMPARISON_NAMES,
    FIGURES,
    STATUS_WORDS,
    Figure,
    constraint_limit,
    constraint_name,
    worst_share,
)
from core.stages import Stage

SHOWN_WEIGHT = 5e-5
"""Weights that would be written as 0.00% are summed up in one line."""


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A limit of the verdict. interval: empty where the figure has no sampling error."""

    name: str
    status: LimitStatus
    word: str
    asked: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Headline:
    """The verdict. open_limits: those that are not shown to hold; notes: what a partner should know first."""

    status: LimitStatus
    word: str
    sentence: str
    open_limits: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RiskFigure:
    """One of the four figures. Texts are ready to print. status: None of the one that has no limit."""

    name: str
    label: str
    meaning: str
    status: LimitStatus | None
    word: str
    sentence: str
    limit: str
    in_sample: str
    error: str
    weights: str
    weights_interval: str
    whole_deals: str
    whole_deals_interval: str


@dataclass(frozen=True, slots=True)
class AllocationRow:
    bucket_id: str
    stage: str
    sector: str
    weight: float
    dollar_amount: float
    deal_count: int
    average_check: float
    all_in_cost: float


@dataclass(frozen=True, slots=True)
class Total:
    name: str
    weight: float
    dollar_amount: float
    deal_count: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """rows: what is held, the largest first. others: buckets that get nothing worth printing."""

    rows: tuple[AllocationRow, ...]
    others: int
    others_total: Total
    by_stage: tuple[Total, ...]
    by_sector: tuple[Total, ...]
    total: Total


@dataclass(frozen=True, slots=True)
class RegimeRow:
    regime: str
    probability: str
    scenarios: str
    figures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    name: str
    expected_moic: str
    difference: str
    verdict: str


def headline(verdict: Verdict) -> Headline:
    open_limits = tuple(limit.sentence for limit in verdict.limits if limit.status != "holds")
    return Headline(verdict.status, STATUS_WORDS[verdict.status], verdict.sentence, open_limits, verdict.notes)


def limit_rows(verdict: Verdict) -> tuple[LimitRow, ...]:
    """Every limit of the verdict, in its order."""
    return tuple(
        LimitRow(
            name=constraint_name(limit.constraint_id),
            status=limit.status,
            word=STATUS_WORDS[limit.status],
            asked=constraint_limit(limit.constraint_id.partition(":")[0], limit.asked),
            sentence=limit.sentence,
        )
        for limit in verdict.limits
    )


def allocation_view(allocation: Sequence[Holding]) -> Allocation:
    rows = [
        AllocationRow(
            bucket_id=holding.bucket_id,
            stage=holding.stage,
            sector=holding.sector,
            weight=holding.weight,
            dollar_amount=holding.dollar_amount,
            deal_count=holding.deal_count,
            average_check=holding.avg_check_size,
            all_in_cost=holding.all_in_cost_per_deal,
        )
        for holding in sorted(allocation, key=lambda holding: (-holding.weight, holding.bucket_id))
    ]
    held = tuple(row for row in rows if row.weight >= SHOWN_WEIGHT)
    rest = [row for row in rows if row.weight < SHOWN_WEIGHT]
    stages = [stage.value for stage in Stage if any(row.stage == stage.value for row in rows)]
    sectors = sorted({row.sector for row in rows})
    by_sector = [_total(sector, [row for row in rows if row.sector == sector]) for sector in sectors]
    return Allocation(
        rows=held,
        others=len(rest),
        others_total=_total("Others", rest),
        by_stage=tuple(_total(stage, [row for row in rows if row.stage == stage]) for stage in stages),
        by_sector=tuple(sorted(by_sector, key=lambda total: (-total.weight, total.name))),
        total=_total("Total", rows),
    )


def _total(name: str, rows: Sequence[AllocationRow]) -> Total:
    return Total(
        name,
        sum(row.weight for row in rows),
        round(sum(row.dollar_amount for row in rows), 2),
        sum(row.deal_count for row in rows),
    )


def risk_view(result: Result, cvar_confidence: float) -> tuple[RiskFigure, ...]:
    """The four figures in the order in which partners ask for them; statuses are those of the verdict."""
    judged = {limit.constraint_id: limit for limit in result.verdict.limits}
    tail = f"the average loss in the {worst_share(cvar_confidence)} of scenarios, as a share of the capital"
    return tuple(
        _risk_figure(
            result,
            figure,
            judged.get(figure.constraint or ""),
            tail if figure.constraint == "cvar_max" else figure.meaning,
        )
        for figure in FIGURES
    )


def _risk_figure(result: Result, figure: Figure, judged: VerdictLimit | None, meaning: str) -> RiskFigure:
    validation = result.validation
    weights = figure.estimate(validation.out_of_sample)
    deals = figure.estimate(validation.whole_deals.out_of_sample)
    error = figure.error(validation.standard_errors)
    side = "at least" if figure.constraint == "expected_winners_min" else "at most"
    return RiskFigure(
        name=figure.name,
        label=figure.label[0].upper() + figure.label[1:],
        meaning=meaning,
        status=None if judged is None else judged.status,
        word="No limit" if judged is None else STATUS_WORDS[judged.status],
        sentence="" if judged is None else judged.sentence,
        limit="-" if judged is None else f"{side} {constraint_limit(judged.constraint_id, judged.asked)}",
        in_sample=figure.shown(figure.of(result)),
        error="" if error is None else f"± {figure.shown(error)}",
        weights=figure.shown(weights.value),
        weights_interval=f"{figure.shown(weights.low)} to {figure.shown(weights.high)}",
        whole_deals=figure.shown(deals.value),
        whole_deals_interval=f"{figure.shown(deals.low)} to {figure.shown(deals.high)}",
    )


def comparison_rows(portfolios: Sequence[ComparisonPortfolio]) -> tuple[ComparisonRow, ...]:
    return tuple(
        ComparisonRow(
            name=COMPARISON_NAMES[other.name],
            expected_moic=multiple(other.mean),
            difference=signed_multiple(other.difference)
            + ("" if other.standard_error is None else f" ± {multiple(other.standard_error, 3)}"),
            verdict=_comparison_words(other),
        )
        for other in portfolios
    )


def _comparison_words(other: ComparisonPortfolio) -> str:
    if other.within_noise:
        words = "within the noise: not shown to be better"
    else:
        words = "this one is better" if other.difference > 0 else "the simpler portfolio is better"
    return words if other.feasible else f"{words}; it breaks limits, so it is no alternative"


def regimes_view(out_of_sample: OutOfSample) -> tuple[RegimeRow, ...]:
    """Each state of the economy, the four figures in the order of `FIGURES`."""
    rows = []
    for entry in out_of_sample.by_regime:
        found = entry.figures
        cells = tuple("-" if found is None else figure.shown(figure.of(found)) for figure in FIGURES)
        drawn = "0" if found is None else f"{found.scenarios:,}"
        rows.append(RegimeRow(entry.regime, percent(entry.probability), drawn, cells))
    return tuple(rows)


def proof_lines(result: Result) -> tuple[str, ...]:
    """How good the answer is proven to be on its own scenarios, and how far they flatter it."""
    return (*proof_sentences(result), optimism_sentence(result.validation.out_of_sample))


def whole_deal_lines(result: Result) -> tuple[str, ...]:
    return (whole_deals_sentence(result.validation),)


def timing_rows(result: Result) -> tuple[tuple[str, str], ...]:
    names = {
        "waiting": "Waiting",
        "matrix": "Scenarios",
        "optimize": "Optimization",
        "validate": "Validation",
        "total": "Total",
    }
    return tuple((names[stage], duration(seconds)) for stage, seconds in result.timings.items())
