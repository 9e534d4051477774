"""Whether what is bought keeps the limits as asked: judged and worded here, and nowhere else.

Each limit is judged by the worse of two portfolios: the weights, and the whole deals that they buy. A limit on a
sampled figure holds when the whole 95% interval out of sample keeps it, is broken when the whole interval breaks it,
and lies within the error otherwise. Bounds of weights have no sampling error. A limit that was relaxed is judged as it
was asked for. A fund that buys no deal at all keeps nothing worth keeping.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.formatting import dollars, multiple, percent, plural
from core.portfolio.dollars import to_cents
from core.portfolio.problem import ConstraintType, is_minimum
from core.result.model import (
    Basis,
    BasisVerdict,
    Constraint,
    Estimate,
    Figures,
    Holding,
    LimitStatus,
    Optimization,
    Validation,
    Verdict,
    VerdictLimit,
)
from core.result.wording import (
    COMPARISON_NAMES,
    FIGURES,
    OTHER_SEEDS,
    beside_limit,
    constraint_limit,
    constraint_name,
)
from core.risk.recheck import excess, shortage

BASES: tuple[Basis, ...] = ("weights", "whole_deals")
SEVERITY: Mapping[LimitStatus, int] = {"holds": 0, "within_error": 1, "broken": 2}
BASIS_NAMES: Mapping[Basis, str] = {"weights": "the weights", "whole_deals": "the whole deals bought"}


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of the weights or of the whole deals. low, high: 95% interval; None where nothing is sampled.

    certain: whether a figure without an interval settles the question. One on the matrix alone does not.
    """

    basis: Basis
    value: float
    low: float | None
    high: float | None
    out_of_sample: bool
    certain: bool


def verdict_of(
    constraints: Sequence[Constraint],
    cvar_confidence: float,
    allocation: Sequence[Holding],
    validation: Validation,
    notes: Iterable[str] = (),
) -> Verdict:
    """Out of sample. constraints: as reported on the matrix. allocation: all buckets; notes: to add."""
    sampled = {
        figure.constraint: (
            _estimated("weights", figure.estimate(validation.out_of_sample)),
            _estimated("whole_deals", figure.estimate(validation.whole_deals.out_of_sample)),
        )
        for figure in FIGURES
        if figure.constraint is not None
    }
    tested = f"in {validation.out_of_sample.scenarios:,} scenarios that the portfolio was not chosen on"
    judged = _Judge(cvar_confidence, allocation, sampled, tested)
    return judged.verdict(constraints, (*notes, *_comparison_notes(validation)))


def verdict_on_matrix(
    *,
    constraints: Sequence[Constraint],
    cvar_confidence: float,
    allocation: Sequence[Holding],
    weights: Figures,
    whole_deals: Figures,
    notes: Iterable[str] = (),
) -> Verdict:
    """On the matrix alone, where nothing else is known: no limit on a sampled figure is said to hold.

    weights, whole_deals: figures of either on the matrix.
    """
    sampled = {
        figure.constraint: (
            Measured("weights", figure.of(weights), None, None, out_of_sample=False, certain=False),
            Measured("whole_deals", figure.of(whole_deals), None, None, out_of_sample=False, certain=False),
        )
        for figure in FIGURES
        if figure.constraint is not None
    }
    judged = _Judge(cvar_confidence, allocation, sampled, "on the scenarios that the portfolio was chosen on")
    untested = "The portfolio was not tested on scenarios other than those it was chosen on."
    return judged.verdict(constraints, (*notes, untested))


@dataclass(frozen=True, slots=True)
class _Judge:
    """sampled: the figures of the weights and of the whole deals, by the class of limit. tested: where, in words."""

    cvar_confidence: float
    allocation: Sequence[Holding]
    sampled: Mapping[ConstraintType, Sequence[Measured]]
    tested: str

    def verdict(self, constraints: Sequence[Constraint], notes: tuple[str, ...]) -> Verdict:
        deal_weights = whole_deal_weights(self.allocation)
        measured = [(constraint, self._measured(constraint, deal_weights)) for constraint in constraints]
        limits = tuple(_worse_of(constraint, found, self.cvar_confidence) for constraint, found in measured)
        status = _worst(limits)
        sentence = _sentence(status, limits, self.tested)
        weights, whole_deals = (self._of_basis(basis, measured) for basis in BASES)
        if not any(holding.deal_count for holding in self.allocation):
            status, sentence = "broken", _no_deal_sentence(self.allocation)
            whole_deals = BasisVerdict(status=status, sentence=sentence)
        return Verdict(
            status=status, sentence=sentence, limits=limits, weights=weights, whole_deals=whole_deals, notes=notes
        )

    def _of_basis(self, basis: Basis, measured: Sequence[tuple[Constraint, Sequence[Measured]]]) -> BasisVerdict:
        limits = tuple(
            _worse_of(constraint, [one for one in found if one.basis == basis], self.cvar_confidence)
            for constraint, found in measured
        )
        status = _worst(limits)
        return BasisVerdict(status=status, sentence=_sentence(status, limits, self.tested, basis))

    def _measured(self, constraint: Constraint, deal_weights: Sequence[float]) -> Sequence[Measured]:
        if constraint.type in self.sampled:
            return self.sampled[constraint.type]
        weights = [holding.weight for holding in self.allocation]
        return [
            Measured(
                basis, _bounded(constraint, self.allocation, values), None, None, out_of_sample=False, certain=True
            )
            for basis, values in _portfolios(weights, deal_weights)
        ]


def _worst(limits: Sequence[VerdictLimit]) -> LimitStatus:
    return max((limit.status for limit in limits), key=SEVERITY.__getitem__, default="holds")


def whole_deal_weights(allocation: Sequence[Holding]) -> list[float]:
    """What each bucket's whole deals cost, as a fraction of the fund; the rest is cash."""
    fund = sum(to_cents(holding.dollar_amount) for holding in allocation)
    return [holding.deal_count * to_cents(holding.all_in_cost_per_deal) / fund for holding in allocation]


def _portfolios(weights: Sequence[float], deals: Sequence[float]) -> Iterator[tuple[Basis, Sequence[float]]]:
    yield "weights", weights
    yield "whole_deals", deals


def _bounded(constraint: Constraint, allocation: Sequence[Holding], weights: Sequence[float]) -> float:
    """What a bound of weights bounds: the largest bucket, or the sum over a sector or a stage."""
    kind, _, name = constraint.constraint_id.partition(":")
    if kind == "bucket_max_weight":
        return max(weights)
    by_sector = kind.startswith("sector")
    return math.fsum(
        weight
        for holding, weight in zip(allocation, weights, strict=True)
        if (holding.sector if by_sector else holding.stage) == name
    )


def _estimated(basis: Basis, estimate: Estimate) -> Measured:
    if estimate.standard_error == 0.0:  # known exactly: nothing was sampled
        return Measured(basis, estimate.value, None, None, out_of_sample=True, certain=True)
    return Measured(basis, estimate.value, estimate.low, estimate.high, out_of_sample=True, certain=True)


def _status(constraint: Constraint, measured: Measured) -> LimitStatus:
    """Against the limit as asked."""
    asked = constraint.asked
    low, high = (measured.value if bound is None else bound for bound in (measured.low, measured.high))
    if is_minimum(constraint.type):
        kept, broken = not shortage(low, asked), bool(shortage(high, asked))
    else:
        kept, broken = not excess(high, asked), bool(excess(low, asked))
    if broken:
        return "broken"
    return "holds" if kept and measured.certain else "within_error"


def _worse_of(constraint: Constraint, measured: Sequence[Measured], confidence: float) -> VerdictLimit:
    sign = -1.0 if is_minimum(constraint.type) else 1.0
    judged = [(_status(constraint, one), one) for one in measured]
    status, worst = max(judged, key=lambda pair: (SEVERITY[pair[0]], sign * pair[1].value))
    return VerdictLimit(
        constraint_id=constraint.constraint_id,
        asked=constraint.asked,
        enforced=constraint.required,
        figure=worst.value,
        low=worst.low,
        high=worst.high,
        basis=worst.basis,
        out_of_sample=worst.out_of_sample,
        status=status,
        sentence=_limit_sentence(constraint, worst, status, confidence),
    )


def _limit_sentence(constraint: Constraint, worst: Measured, status: LimitStatus, confidence: float) -> str:
    kind = constraint.type
    name = constraint_name(constraint.constraint_id, confidence)
    figure, asked = beside_limit(kind, worst.value, constraint.asked)
    if worst.low is not None and worst.high is not None:
        low, high = (beside_limit(kind, bound, constraint.asked)[0] for bound in (worst.low, worst.high))
        figure += f" (95% interval {low} to {high})"
    said = {
        "holds": f"keeps the limit of {asked}",
        "broken": f"breaks the limit of {asked}",
        "within_error": f"is too close to the limit of {asked} to tell"
        if worst.certain
        else f"keeps the limit of {asked} on the scenarios that it was chosen on; untested on others",
    }[status]
    sentence = f"{name}: {figure} for {BASIS_NAMES[worst.basis]} {said}."
    if status != "holds" and worst.out_of_sample:
        sentence += f" A limit of {_would_hold(constraint, worst)} would hold."
    if constraint.relaxed_from is not None:
        enforced = constraint_limit(kind, constraint.required)
        sentence += f" It could not be met as asked on the scenarios chosen on and was relaxed to {enforced}."
    return sentence


def _would_hold(constraint: Constraint, measured: Measured) -> str:
    """The nearest limit, to a tenth of a percentage point or a hundredth of a winner, that is shown to be kept."""
    if is_minimum(constraint.type):
        low = measured.value if measured.low is None else measured.low
        return constraint_limit(constraint.type, math.floor(low * WOULD_HOLD_STEPS[True]) / WOULD_HOLD_STEPS[True])
    high = measured.value if measured.high is None else measured.high
    return constraint_limit(constraint.type, math.ceil(high * WOULD_HOLD_STEPS[False]) / WOULD_HOLD_STEPS[False])


WOULD_HOLD_STEPS: Mapping[bool, float] = {True: 100.0, False: 1000.0}
"""Steps in 1.0 of a limit, of minima (winners) and of maxima (fractions)."""


def _sentence(status: LimitStatus, limits: Sequence[VerdictLimit], tested: str, basis: Basis | None = None) -> str:
    """basis: None for the worse of both."""
    if not limits:
        return "No limit was asked for."
    if status == "holds" and basis is not None:
        return (
            f"{BASIS_NAMES[basis][0].upper()}{BASIS_NAMES[basis][1:]} keep all {len(limits)} limits as asked, {tested}."
        )
    if status == "holds":
        return f"Every limit holds as asked, for the weights and for the whole deals bought, {tested}."
    chosen = [limit for limit in limits if limit.status == status]
    bases = {limit.basis for limit in chosen}
    named = "; ".join(_short(limit, name_basis=len(bases) > 1) for limit in chosen)
    of_all = f"{len(chosen)} of {plural(len(limits), 'limit')}"
    if status == "within_error":
        return f"No limit is shown to be broken, but {of_all} cannot be called {tested}: {named}."
    what = _SUBJECTS[bases.pop()] if len(bases) == 1 else "The portfolio breaks"
    return f"{what} {of_all} as asked, {tested}: {named}."


_SUBJECTS: Mapping[Basis, str] = {"weights": "The weights break", "whole_deals": "What is bought breaks"}


def _short(limit: VerdictLimit, *, name_basis: bool) -> str:
    """Such as "CVaR 46.0% (at most 35%)"."""
    kind = _type(limit.constraint_id.partition(":")[0])
    basis = f" for {BASIS_NAMES[limit.basis]}" if name_basis else ""
    side = "at least" if is_minimum(kind) else "at most"
    relaxed = "" if limit.enforced == limit.asked else ", relaxed"
    figure, asked = beside_limit(kind, limit.figure, limit.asked)
    return f"{constraint_name(limit.constraint_id)} {figure}{basis} ({side} {asked}{relaxed})"


def _type(kind: str) -> ConstraintType:
    found: ConstraintType = kind  # type: ignore[assignment]  # an id begins with its type
    return found


def _no_deal_sentence(allocation: Sequence[Holding]) -> str:
    fund = math.fsum(holding.dollar_amount for holding in allocation)
    cheapest = min(holding.all_in_cost_per_deal for holding in allocation)
    return (
        f"The fund buys no deal at all: it has {dollars(fund)}, and the cheapest deal costs {dollars(cheapest)}, "
        "reserves included."
    )


def optimization_notes(optimization: Optimization) -> Iterator[str]:
    """What the verdict on an optimized portfolio should mention."""
    moved = len(optimization.relaxations)
    if moved:
        yield f"No portfolio meets every limit as asked: {plural(moved, 'limit')} had to be relaxed."
    if optimization.solver.status != "optimal":
        gap = optimization.solver.gap
        known = "" if gap is None else f"; a portfolio better by {percent(gap, 2)} may exist"
        yield f"The work limit was reached before the optimum on these scenarios was proven{known}."
    if not optimization.solver.reproducible:
        yield "A time limit cut the search short: the same request may give another answer."


def even_sectors_note(groups: Sequence[Sequence[str]], allocation: Sequence[Holding]) -> Iterator[str]:
    """Of sectors that share evenly because nothing tells them apart."""
    sectors = {holding.sector for holding in allocation}
    for group in groups:
        which = "sectors" if len(group) == len(sectors) else f"these {len(group)} sectors"
        names = "" if len(group) == len(sectors) else f" ({', '.join(group)})"
        yield f"The calibration does not tell {which} apart{names}; the spread over them is even."


def _comparison_notes(validation: Validation) -> Iterator[str]:
    plainer = [other for other in validation.comparison_portfolios if other.name not in OTHER_SEEDS]
    for other in plainer:
        name = COMPARISON_NAMES[other.name]
        if other.feasible and other.within_noise and other.standard_error:
            yield f"These scenarios do not show it to be better than {name}."
        elif other.outperforms:
            yield (
                f"A simpler portfolio keeps every limit and does better in the same scenarios: {name}, "
                f"by {multiple(-other.difference, 3)}."
            )
    for other in validation.comparison_portfolios:
        if other.dominates:
            yield (
                f"Another portfolio keeps every limit, expects no less and risks less in the same scenarios: "
                f"{COMPARISON_NAMES[other.name]}."
            )
    seeds = [other.turnover for other in validation.comparison_portfolios if other.name in OTHER_SEEDS]
    moved = [turnover for turnover in seeds if turnover is not None]
    if moved:
        yield (
            f"Asked again under {plural(len(moved), 'other seed')}, the answer moves at most "
            f"{percent(max(moved), 1)} of the capital."
        )
