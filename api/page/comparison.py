"""Two sessions side by side: what was asked differently, and what came out differently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from api.page.form import FormContext, Input, all_inputs, form_groups
from api.page.form_text import shown as shown_in_form
from core.formatting import percent
from core.request.fields import Location
from core.request.wording import field_path
from core.result.model import Result
from core.result.wording import FIGURES, STATUS_WORDS, Figure, constraint_limit, constraint_name

SHOWN_SHIFT = 5e-4
"""Weights that differ by less are printed alike, and not listed."""

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """change: second less first, in words; empty where no number tells it."""

    name: str
    first: str
    second: str
    change: str = ""


def request_differences(first: Document, second: Document) -> list[Difference]:
    """Every field that the two requests say differently, in the form's words and units.

    What neither says is its default in both.
    """
    sectors = [name for request in (first, second) for name in request.get("sectorBounds", {})]
    known = {
        one.path: one
        for request in (first, second)
        for one in all_inputs(form_groups(request, FormContext(sectors, ())))
    }
    left, right = dict(_leaves(first, ())), dict(_leaves(second, ()))
    places = [place for place in dict.fromkeys([*left, *right]) if left.get(place) != right.get(place)]
    differences = []
    for place in places:
        path = field_path(place)
        one = known.get(path)
        name = path if one is None else f"{one.label} ({path})"
        differences.append(Difference(name, _said(left.get(place), one), _said(right.get(place), one)))
    return differences


def figure_differences(first: Result, second: Result) -> list[Difference]:
    """The four figures out of sample, as whole deals."""
    differences = []
    for figure in FIGURES:
        one = figure.estimate(first.validation.whole_deals.out_of_sample).value
        other = figure.estimate(second.validation.whole_deals.out_of_sample).value
        label = figure.label[0].upper() + figure.label[1:]
        differences.append(Difference(label, figure.shown(one), figure.shown(other), _signed(figure, other - one)))
    return differences


def weight_differences(first: Result, second: Result) -> list[Difference]:
    """Buckets whose weight moved, the largest move first."""
    left = {holding.bucket_id: holding.weight for holding in first.allocation}
    right = {holding.bucket_id: holding.weight for holding in second.allocation}
    moved = {bucket: right.get(bucket, 0.0) - left.get(bucket, 0.0) for bucket in sorted({*left, *right})}
    order = sorted(moved, key=lambda bucket: (-abs(moved[bucket]), bucket))
    return [
        Difference(bucket, _weight(left, bucket), _weight(right, bucket), f"{100 * moved[bucket]:+.1f} points")
        for bucket in order
        if abs(moved[bucket]) >= SHOWN_SHIFT
    ]


def constraint_differences(first: Result, second: Result) -> list[Difference]:
    """Limits that were asked for, enforced or judged differently."""
    left, right = (_judged_limits(result) for result in (first, second))
    differences = []
    for name in dict.fromkeys([*left, *right]):
        one, other = left.get(name, "no limit"), right.get(name, "no limit")
        if one != other:
            differences.append(Difference(constraint_name(name), one, other))
    return differences


def _judged_limits(result: Result) -> dict[str, str]:
    """By constraint id: the limit as asked, whether it was relaxed, and the verdict on it."""
    found = {}
    for limit in result.verdict.limits:
        kind = limit.constraint_id.partition(":")[0]
        asked, enforced = constraint_limit(kind, limit.asked), constraint_limit(kind, limit.enforced)
        relaxed = "" if limit.asked == limit.enforced else f", relaxed to {enforced}"
        found[limit.constraint_id] = f"{asked}{relaxed}: {STATUS_WORDS[limit.status].lower()}"
    return found


def _leaves(node: Any, place: Location) -> Iterator[tuple[Location, Any]]:
    """What a document says, place by place. Lists of plain values are told as one."""
    if isinstance(node, Mapping) and node:
        for key, child in node.items():
            yield from _leaves(child, (*place, key))
    elif isinstance(node, list) and any(isinstance(entry, Mapping) for entry in node):
        for position, child in enumerate(node):
            yield from _leaves(child, (*place, position))
    else:
        yield place, node


def _said(value: Any, field: Input | None) -> str:
    if value is None:
        return "default"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{shown_in_form('percent', value)}%" if field and field.kind == "percent" else f"{value:,.10g}"
    if isinstance(value, list | tuple):
        return ", ".join(str(entry) for entry in value)
    return str(value)


def _signed(figure: Figure, change: float) -> str:
    if figure.name in ("expectedMoic", "expectedWinners"):
        return ("+" if change >= 0 else "") + figure.shown(change)
    return f"{100 * change:+.1f} points"


def _weight(weights: Mapping[str, float], bucket: str) -> str:
    return percent(weights[bucket]) if bucket in weights else "no such bucket"
