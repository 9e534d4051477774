"""What the limits rule out, in words. Every sentence is exact about what is proven and what was only found.

Numbers are rounded to the side on which the sentence stays true: what no portfolio has is understated, what one has is
overstated, and a limit that is held is shown no looser than it is.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from core.formatting import limit_percent
from core.portfolio.problem import RELAXATION_ORDER, ConstraintType, is_minimum
from core.portfolio.relax import RelaxedBound
from core.portfolio.single_limit_repairs import SingleLimitRepair

CLOSED = 2e-6
"""Totals this near to each other count as one: solves stop there."""

REPORTED_PRECISION: dict[bool, float] = {True: 0.01, False: 0.001}
"""Differences below this are not reported: hundredths of a company (True: winners), tenths of a percent (False)."""

_CLASS_NAMES: dict[ConstraintType, str] = {
    "expected_winners_min": "expected winners",
    "bucket_max_weight": "the bucket maximum",
    "sector_max_weight": "sector maxima",
    "sector_min_weight": "sector minima",
    "stage_max_weight": "stage maxima",
    "stage_min_weight": "stage minima",
    "cvar_max": "CVaR",
    "p_loss_max": "losing scenarios",
}


def explain_single_limit_repair(repair: SingleLimitRepair, asked: Mapping[str, float], n_scenarios: int) -> str:
    """One sentence; asked: constraint id to limit, of at least `repair.given`."""
    held = [condition(constraint_id, asked[constraint_id]) for constraint_id in repair.given]
    return _sentence(
        f" with {_listed(held)}" if held else "",
        repair.constraint_id,
        repair.type,
        asked=repair.asked,
        proven=repair.proven,
        achieved=repair.achieved,
        n_scenarios=n_scenarios,
        impossible=True,
    )


def explain_relaxation(
    bound: RelaxedBound, relaxed: Sequence[RelaxedBound], classes: Collection[ConstraintType], n_scenarios: int
) -> str:
    """Why one bound was relaxed. relaxed: all that did; classes: all that the request limits.

    A class is judged with those of higher priority held where they ended, and without those that are relaxed before it.
    """
    order = RELAXATION_ORDER.index
    moved = {other.type for other in relaxed}
    higher = [name for name in RELAXATION_ORDER[::-1] if order(name) > order(bound.type) and name in classes]
    held = [_CLASS_NAMES[name] + (" as moved" if name in moved else "") for name in higher]
    given = f" within the limits on {_listed(held)}" if held else ""
    siblings = [other for other in relaxed if other.type == bound.type]
    sign = -1.0 if is_minimum(bound.type) else 1.0
    if len(siblings) > 1 or bound.type not in ("expected_winners_min", "bucket_max_weight", "cvar_max", "p_loss_max"):
        return _class_sentence(given, bound)
    return _sentence(
        given,
        bound.constraint_id,
        bound.type,
        asked=bound.old,
        proven=bound.old + sign * bound.class_proven,
        achieved=bound.old + sign * bound.class_violation,
        n_scenarios=n_scenarios,
        impossible=bound.class_proven > 0.0,
    )


def _class_sentence(given: str, bound: RelaxedBound) -> str:
    """Of a class of several bounds only the total is minimal; how it is spread among them is not."""
    name = _CLASS_NAMES[bound.type]
    total = _points(bound.class_proven, up=False)
    if bound.class_violation - bound.class_proven <= CLOSED:
        need = f"in total they must be relaxed by at least {total}"
    elif bound.class_proven > 0.0:
        found = _points(bound.class_violation, up=True)
        need = f"in total at least {total} is proven to be needed, and {found} was enough"
    else:
        need = f"{_points(bound.class_violation, up=True)} in total was enough; whether less would do is not proven"
    if bound.class_proven <= 0.0:
        return f"No portfolio{given} was found that keeps all {name}; {need}."
    return f"No portfolio{given} keeps all {name}; {need}."


def _sentence(
    given: str,
    constraint_id: str,
    constraint_type: ConstraintType,
    *,
    asked: float,
    proven: float,
    achieved: float | None,
    n_scenarios: int,
    impossible: bool,
) -> str:
    """impossible: it is proven that what was asked for cannot be had."""
    sign = -1.0 if is_minimum(constraint_type) else 1.0
    yours = f"your limit was {_shown(constraint_type, asked)}"
    closed = achieved is not None and _reported_alike(constraint_type, proven, achieved)
    is_proven = sign * (proven - asked) > 0.0
    if closed and is_proven:
        return f"No portfolio{given} {_claim(constraint_id, constraint_type, proven, asked, n_scenarios)}; {yours}."
    if is_proven:
        text = f"No portfolio{given} {_claim(constraint_id, constraint_type, proven, asked, n_scenarios)}"
    else:
        text = f"No portfolio{given} {'has' if impossible else 'was found with'} {condition(constraint_id, asked)}"
    if achieved is None:
        return f"{text}; how much more would be needed was not found within the work limit; {yours}."
    found = _found(constraint_type, _rounded(constraint_type, achieved, asked, up=sign > 0.0))
    return f"{text}; the best that was found {found}, and what lies between is not proven; {yours}."


def _claim(constraint_id: str, constraint_type: ConstraintType, value: float, asked: float, n_scenarios: int) -> str:
    """What nothing does: the value with its strict inequality."""
    name = constraint_id.partition(":")[2]
    if constraint_type == "p_loss_max":
        count = round(value * n_scenarios)
        share = _exact_percent(Fraction(count, n_scenarios))
        return f"loses money in fewer than {share} of scenarios ({count:,} of {n_scenarios:,})"
    minimum = is_minimum(constraint_type)
    shown = _rounded(constraint_type, value, asked, up=minimum)
    match constraint_type:
        case "cvar_max":
            return f"has a CVaR below {shown}"
        case "expected_winners_min":
            return f"expects more than {shown}"
        case "bucket_max_weight":
            return f"keeps every bucket below {shown}"
    place = name if constraint_type.startswith("sector") else f"stage {name}"
    return f"has {'more' if minimum else 'less'} than {shown} in {place}"


def _reported_alike(constraint_type: ConstraintType, proven: float, achieved: float) -> bool:
    """Whether naming both would say nothing that the proven value alone does not. Losing scenarios are counted."""
    if constraint_type == "p_loss_max":
        return proven == achieved
    return abs(achieved - proven) <= REPORTED_PRECISION[constraint_type == "expected_winners_min"]


def _found(constraint_type: ConstraintType, shown: str) -> str:
    match constraint_type:
        case "p_loss_max":
            return f"loses money in {shown} of scenarios"
        case "expected_winners_min":
            return f"expects {shown}"
        case "bucket_max_weight":
            return f"has up to {shown} in a bucket"
    return f"has {shown}"


def condition(constraint_id: str, value: float) -> str:
    """A limit that is held, as what a portfolio has: "at most 15% a bucket"."""
    kind, _, name = constraint_id.partition(":")
    match kind:
        case "p_loss_max":
            return f"losses in at most {limit_percent(value)} of scenarios" if value > 0.0 else "losses in no scenario"
        case "cvar_max":
            return f"a CVaR of at most {limit_percent(value)}"
        case "expected_winners_min":
            return f"at least {value:.12g} expected winners"
        case "bucket_max_weight":
            return f"at most {limit_percent(value)} a bucket"
    place = name if kind.startswith("sector") else f"stage {name}"
    return f"at {'least' if '_min_' in kind else 'most'} {limit_percent(value)} in {place}"


def _shown(constraint_type: ConstraintType, value: float) -> str:
    return f"{value:.12g}" if constraint_type == "expected_winners_min" else limit_percent(value)


def _rounded(constraint_type: ConstraintType, value: float, asked: float, *, up: bool) -> str:
    """To one decimal of a percent or two of a company, or as many as tell it from what was asked."""
    winners = constraint_type == "expected_winners_min"
    scale, least = (1.0, 2) if winners else (100.0, 1)
    for decimals in range(least, 9):
        number = _to_side(value * scale, decimals, up=up)
        if abs(number - asked * scale) > 0.5 * 10.0**-decimals:
            break
    text = f"{number:.{decimals}f}"
    return f"{text} winners" if winners else f"{text}%"


def _points(fraction: float, *, up: bool) -> str:
    for decimals in range(1, 9):
        number = _to_side(100.0 * fraction, decimals, up=up)
        if number > 0.0:
            break
    return f"{number:.{decimals}f} percentage points"


def _to_side(value: float, decimals: int, *, up: bool) -> float:
    # A hair of rounding in the arithmetic before is no reason to move a whole digit.
    unit, hair = 10.0**decimals, 1e-6
    return (math.ceil(value * unit - hair) if up else math.floor(value * unit + hair)) / unit


def _exact_percent(share: Fraction) -> str:
    """Two decimals at most; the count beside it is exact."""
    return f"{float(100 * share):.2f}".rstrip("0").rstrip(".") + "%"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
