"""From a filled form to the request document that it asks for, and its problems to the inputs where they belong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.page.form import MOST_ROWS, FormContext, Group, Input, all_inputs, form_groups
from api.page.form_text import in_percent, typed
from core.errors import FieldProblem
from core.request.fields import Location

Submitted = Mapping[str, Sequence[str]]
"""What each input sent, by its name."""


@dataclass(frozen=True, slots=True)
class Problem:
    """anchor: the input or table where it is shown, empty where there is none for it."""

    anchor: str
    label: str
    field: str
    rule: str


def submitted_document(sent: Submitted, context: FormContext) -> dict[str, Any]:
    """What was filled in; empty inputs are left out, so that defaults stay defaults."""
    document: dict[str, Any] = {}
    for one in _asked(sent, context):
        text = "\n".join(sent.get(one.path, ()))
        if text.strip():
            _put(document, one.location, typed(one.kind, text))
    return document


def submitted_sectors(sent: Submitted) -> list[str]:
    """Those of the sent form, whose rows by sector were made for them."""
    return list(dict.fromkeys(typed("lines", "\n".join(sent.get("buckets.sectors", ())))))


def placed(problems: Iterable[FieldProblem], groups: Sequence[Group]) -> list[Problem]:
    """Each problem with the input it belongs to, its rule in that input's unit."""
    inputs = {one.path: one for one in all_inputs(groups)}
    tables = {table.path: table for group in groups for table in group.tables}
    shown = []
    for problem in problems:
        anchor = _anchor(problem.field, [*inputs, *tables])
        if anchor in inputs:
            label, percent = inputs[anchor].label, inputs[anchor].kind == "percent"
        elif anchor in tables:
            cells = [cell for row in tables[anchor].rows for cell in row.inputs]
            label, percent = tables[anchor].label, any(cell.kind == "percent" for cell in cells)
        else:
            label, percent = problem.field, False
        rule = in_percent(problem.rule) if percent else problem.rule
        shown.append(Problem(anchor, label, problem.field, rule))
    return shown


def _anchor(field: str, known: Sequence[str]) -> str:
    """The field itself, else the nearest that encloses it."""
    enclosing = [path for path in known if field == path or field.startswith((f"{path}.", f"{path}["))]
    return max(enclosing, key=len, default="")


def _asked(sent: Submitted, context: FormContext) -> Iterable[Input]:
    """The inputs of the form as it was sent: rows of sectors and list entries that are not in an empty one, too."""
    skeleton: dict[str, Any] = {}
    for name in sent:
        head, bracket, rest = name.partition("[")
        if bracket and head.endswith("regimes"):
            length = int(rest.partition("]")[0]) + 1 if rest.partition("]")[0].isdigit() else 0
            entries: list[Any] = [{} for _ in range(min(length, MOST_ROWS))]
            _put(skeleton, tuple(head.split(".")), max(entries, _list(skeleton, head), key=len))
    yield from all_inputs(form_groups(skeleton, context))


def _list(document: Mapping[str, Any], path: str) -> list[Any]:
    value: Any = document
    for step in path.split("."):
        value = value.get(step, {}) if isinstance(value, Mapping) else {}
    return value if isinstance(value, list) else []


def _put(document: dict[str, Any], location: Location, value: Any) -> None:
    """Sets a value in nested objects and lists, which are made where they are missing."""
    *parents, last = location
    place: Any = document
    for step, following in zip(parents, location[1:], strict=True):
        place = _entered(place, step, [] if isinstance(following, int) else {})
        if not isinstance(place, dict | list):
            return
    if isinstance(last, int):
        while len(place) <= last:
            place.append({})
        place[last] = value
    else:
        place[last] = value


def _entered(place: Any, step: str | int, empty: Any) -> Any:
    if isinstance(step, int):
        while len(place) <= step:
            place.append({})
        return place[step]
    return place.setdefault(step, empty)
