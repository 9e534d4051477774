"""Two sessions side by side: what was asked differently, and what came out differently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from api.page.answer import MEANINGS, shown
from api.page.figures import constraint_name, constraint_value, percent
from api.page.form import FormContext, Input, all_inputs, form_groups
from api.page.form_text import shown as shown_in_form
from core.request.fields import Location
from core.request.wording import field_path

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


def figure_differences(first: Document, second: Document) -> list[Difference]:
    """The four figures in fresh scenarios."""
    differences = []
    for name, (label, _) in MEANINGS.items():
        one = first["validation"]["outOfSample"][name]["value"]
        other = second["validation"]["outOfSample"][name]["value"]
        differences.append(Difference(label, shown(name, one), shown(name, other), _signed(name, other - one)))
    return differences


def weight_differences(first: Document, second: Document) -> list[Difference]:
    """Buckets whose weight moved, the largest move first."""
    left = {entry["bucketId"]: entry["weight"] for entry in first["allocation"]}
    right = {entry["bucketId"]: entry["weight"] for entry in second["allocation"]}
    moved = {bucket: right.get(bucket, 0.0) - left.get(bucket, 0.0) for bucket in sorted({*left, *right})}
    order = sorted(moved, key=lambda bucket: (-abs(moved[bucket]), bucket))
    return [
        Difference(bucket, _weight(left, bucket), _weight(right, bucket), f"{100 * moved[bucket]:+.1f} points")
        for bucket in order
        if abs(moved[bucket]) >= SHOWN_SHIFT
    ]


def constraint_differences(first: Document, second: Document) -> list[Difference]:
    """Limits that were enforced, or fared, differently."""
    left = {entry["constraintId"]: entry for entry in first["constraints"]}
    right = {entry["constraintId"]: entry for entry in second["constraints"]}
    differences = []
    for name in dict.fromkeys([*left, *right]):
        one, other = _fared(left.get(name)), _fared(right.get(name))
        if one != other:
            differences.append(Difference(constraint_name(name), one, other))
    return differences


def _fared(entry: Document | None) -> str:
    if entry is None:
        return "no limit"
    state = "gave way" if entry["relaxedFrom"] is not None else "binding" if entry["binding"] else "room left"
    return f"{constraint_value(entry['type'], entry['required'])}, {state}"


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


def _signed(name: str, change: float) -> str:
    return ("+" if change >= 0 else "") + shown(name, change)


def _weight(weights: Mapping[str, float], bucket: str) -> str:
    return percent(weights[bucket]) if bucket in weights else "no such bucket"
