"""A completed session as the page shows it: pure functions from the result (docs/reference/result.md) to view models.

Words come first: what a figure means for the partners, and only then the figure with its limit and interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from api.page.figures import constraint_name, count, dollars, duration, multiple, percent, signed_multiple
from core.portfolio.uniqueness_sentence import uniqueness_sentence
from core.stages import Stage

Verdict = Literal["good", "unsure", "bad", "none"]
Document = Mapping[str, Any]

SHOWN_WEIGHT = 5e-5
"""Weights that would be written as 0.00% are summed up in one line."""


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer in a sentence, and whether it can be leaned on. reasons: what a partner should know first."""

    verdict: Verdict
    title: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RiskFigure:
    """One of the four figures. Texts are ready to print; `-` where the result does not have it."""

    name: str
    label: str
    meaning: str
    verdict: Verdict
    verdict_word: str
    sentence: str
    limit: str
    in_sample: str
    error: str
    fresh: str
    interval: str
    whole_deals: str
    whole_interval: str


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
    """rows: what is held, the heaviest first. others: how many buckets get nothing worth printing."""

    rows: tuple[AllocationRow, ...]
    others: int
    others_dollars: float
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


def allocation_view(allocation: Sequence[Document]) -> Allocation:
    rows = [
        AllocationRow(
            bucket_id=entry["bucketId"],
            stage=entry["stage"],
            sector=entry["sector"],
            weight=entry["weight"],
            dollar_amount=entry["dollarAmount"],
            deal_count=entry["dealCount"],
            average_check=entry["avgCheckSize"],
            all_in_cost=entry["allInCostPerDeal"],
        )
        for entry in sorted(allocation, key=lambda entry: (-entry["weight"], entry["bucketId"]))
    ]
    held = tuple(row for row in rows if row.weight >= SHOWN_WEIGHT)
    rest = [row for row in rows if row.weight < SHOWN_WEIGHT]
    stages = [stage.value for stage in Stage if any(row.stage == stage.value for row in rows)]
    sectors = sorted({row.sector for row in rows})
    by_sector = [_total(sector, [row for row in rows if row.sector == sector]) for sector in sectors]
    return Allocation(
        rows=held,
        others=len(rest),
        others_dollars=sum(row.dollar_amount for row in rest),
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


MEANINGS = {
    "expectedMoic": ("Expected multiple", "what the fund returns on average, as a multiple of the capital"),
    "lossProbability": ("Loss probability", "how often the fund returns less than was put in"),
    "cvar": ("Tail loss (CVaR)", "the mean loss in the worst scenarios, as a share of the capital"),
    "expectedWinners": ("Expected winners", "companies that return the winner multiple or more, on average"),
}


def risk_view(result: Document) -> tuple[RiskFigure, ...]:
    """The four figures in the order in which partners ask for them."""
    return tuple(_risk_figure(result, name) for name in MEANINGS)


def shown(name: str, value: float) -> str:
    """A value of that figure, with its unit."""
    if name == "expectedMoic":
        return multiple(value)
    return count(value) if name == "expectedWinners" else percent(value)


def _risk_figure(result: Document, name: str) -> RiskFigure:
    validation = result["validation"]
    fresh, deals = validation["outOfSample"][name], validation["wholeDeals"]["outOfSample"][name]
    label, meaning = MEANINGS[name]
    error = validation.get("standardErrors", {}).get(name)
    limit = fresh.get("limit")
    side = "at least" if name == "expectedWinners" else "at most"
    verdict, word, sentence = _verdict(name, fresh, validation["outOfSample"]["scenarios"])
    return RiskFigure(
        name=name,
        label=label,
        meaning=meaning,
        verdict=verdict,
        verdict_word=word,
        sentence=sentence,
        limit="-" if limit is None else f"{side} {shown(name, limit)}",
        in_sample=shown(name, result[name]),
        error="" if error is None else f"± {shown(name, error)}",
        fresh=shown(name, fresh["value"]),
        interval=_interval(name, fresh),
        whole_deals=shown(name, deals["value"]),
        whole_interval=_interval(name, deals),
    )


def _interval(name: str, figure: Document) -> str:
    return f"{shown(name, figure['low'])} to {shown(name, figure['high'])}"


def _verdict(name: str, fresh: Document, scenarios: int) -> tuple[Verdict, str, str]:
    """The judgement, in a word and in a sentence, of what fresh scenarios say of a figure."""
    if name == "expectedMoic":
        sure = fresh["low"] > 1.0
        sentence = (
            f"In {scenarios:,} fresh scenarios the fund returns {shown(name, fresh['value'])} on average; the mean is "
            f"known to lie between {shown(name, fresh['low'])} and {shown(name, fresh['high'])}."
        )
        return ("good", "Above 1x", sentence) if sure else ("unsure", "Not clearly above 1x", sentence)
    value, limit = shown(name, fresh["value"]), fresh.get("limit")
    if limit is None:
        return "none", "No limit", f"In fresh scenarios it is {value}."
    said = f"{value} in fresh scenarios against a limit of {shown(name, limit)}"
    holds = fresh.get("holdsOutOfSample")
    if holds == "yes":
        return "good", "Holds", f"{said}: the whole 95% interval keeps the limit."
    if holds == "no":
        return "bad", "Does not hold", f"{said}: the whole 95% interval breaks it."
    needed = fresh.get("scenariosToSettle")
    more = "" if needed is None else f" About {needed:,} fresh scenarios would tell."
    return "unsure", "Too close to tell", f"{said}: the limit lies inside the 95% interval.{more}"


def headline(result: Document) -> Headline:
    """What to say in the meeting, and what to say with it."""
    figures = risk_view(result)
    broken = [figure for figure in figures if figure.verdict == "bad"]
    unsure = [figure for figure in figures if figure.verdict == "unsure"]
    relaxed = result["relaxations"]
    moic = result["validation"]["outOfSample"]["expectedMoic"]
    title = f"An expected multiple of {multiple(moic['value'])} in worlds that the portfolio was not chosen on"
    reasons = []
    if relaxed:
        plural = "limits" if len(relaxed) > 1 else "limit"
        reasons.append(f"No portfolio meets every limit as asked: {len(relaxed)} {plural} had to give way.")
    reasons += [f"{figure.label} does not hold: {figure.sentence}" for figure in broken]
    reasons += [f"{figure.label} is too close to tell: {figure.sentence}" for figure in unsure]
    noise = [rival for rival in result["validation"].get("rivals", []) if rival["withinNoise"] and rival["feasible"]]
    reasons += [f"These scenarios do not show it to be better than {RIVALS[rival['name']]}." for rival in noise]
    worse = [rival for rival in result["validation"].get("rivals", []) if _outdoes(rival)]
    reasons += [
        f"A plainer portfolio keeps every limit and does better in the same fresh scenarios: "
        f"{RIVALS[rival['name']]}, by {multiple(-rival['difference'], 3)}."
        for rival in worse
    ]
    if not result["solver"]["reproducible"]:
        reasons.append("A time limit cut the search short: the same request may give another answer.")
    if not reasons:
        reasons.append("Every limit holds, as asked, in scenarios that the portfolio was not chosen on.")
    verdict: Verdict = "bad" if broken else "unsure" if relaxed or unsure or noise or worse else "good"
    return Headline(verdict, title, tuple(reasons))


RIVALS = {"equal_weights": "equal weights", "greedy": "filling the best buckets first"}


def rivals_view(validation: Document) -> tuple[ComparisonRow, ...]:
    rows = []
    for rival in validation.get("rivals", []):
        if rival["withinNoise"]:
            verdict = "within the noise: not shown to be better"
        else:
            verdict = "this one is better" if rival["difference"] > 0 else "the rival is better"
        if not rival["feasible"]:
            verdict += "; it breaks limits, so it is no alternative"
        difference = f"{signed_multiple(rival['difference'])} ± {multiple(rival['standardError'], 3)}"
        rows.append(ComparisonRow(RIVALS[rival["name"]], multiple(_value(rival["expectedMoic"])), difference, verdict))
    return tuple(rows)


def _outdoes(rival: Document) -> bool:
    """Whether fresh scenarios show that the plainer portfolio, which keeps every limit, is the better one."""
    return bool(rival["feasible"] and not rival["withinNoise"] and rival["difference"] < 0)


def _value(figure: float | Document) -> float:
    """A rival's figure comes bare or with its error."""
    return float(figure["value"]) if isinstance(figure, Mapping) else float(figure)


def regimes_view(out_of_sample: Document) -> tuple[RegimeRow, ...]:
    """Each state of the economy, the four figures in the order of `MEANINGS`."""
    rows = []
    for entry in out_of_sample.get("byRegime", []):
        figures = entry["figures"]
        cells = tuple("-" if figures is None else shown(name, figures[name]) for name in MEANINGS)
        drawn = "0" if figures is None else f"{figures['scenarios']:,}"
        rows.append(RegimeRow(entry["regime"], percent(entry["probability"]), drawn, cells))
    return tuple(rows)


def proof_lines(result: Document) -> tuple[str, ...]:
    """How good the answer is proven to be on its own scenarios, and how far they flatter it."""
    solver, fresh = result["solver"], result["validation"]["outOfSample"]
    lines = [
        (
            f"On the scenarios it was chosen on, nothing within these limits is better by more than "
            f"{percent(solver['gap'], 4)} (best found {multiple(solver['objective'], 4)}, proven bound "
            f"{multiple(solver['bound'], 4)}; {solver['backend']}, {solver['nodes']:,} nodes)."
        )
    ]
    if solver["status"] != "optimal":
        lines.append("The work limit struck before the proof was closed; a larger work limit narrows the gap.")
    tie_break = solver["tieBreak"]
    nearest = "proven to be" if tie_break["proven"] else "not proven to be"
    lines.append(
        f"Among equally good portfolios it is {nearest} the most even one, within "
        f"{multiple(result['primaryLockEpsilon'], 4)} of the best."
    )
    unique = uniqueness_sentence(tie_break)
    if unique is not None:
        lines.append(unique)
    lines.append(
        f"Its own scenarios flatter it by {signed_multiple(fresh['optimismGap'])}; the fresh mean is known to "
        f"± {multiple(fresh['expectedMoic']['standardError'], 3)}."
    )
    return tuple(lines)


def whole_deal_lines(validation: Document) -> tuple[str, ...]:
    deals = validation["wholeDeals"]
    lines = [f"Bought as {deals['dealCount']:,} whole deals, {dollars(deals['uninvestedUsd'])} stay in cash."]
    for name, amount in deals["boundViolations"].items():
        lines.append(f"Rounding to whole deals oversteps the limit '{constraint_name(name)}' by {percent(amount, 2)}.")
    return tuple(lines)


def timing_rows(result: Document) -> tuple[tuple[str, str], ...]:
    names = {
        "waiting": "Waiting",
        "matrix": "Scenarios",
        "optimize": "Optimizing",
        "validate": "Testing",
        "total": "Total",
    }
    return tuple((names[name], duration(value)) for name, value in result["timings"].items())
