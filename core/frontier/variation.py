"""Which limit is varied, over which values: read from text, applied to a request.

    FIELD=START:STOP:COUNT    COUNT values, evenly spaced, both ends included
    FIELD=VALUE,VALUE,...     just these

FIELD is a limit as the request spells it: `cvarLimit`, `sectorBounds.AI.max`. No limit is in the matrix key, so that
all requests of a variation share one matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pydantic.alias_generators import to_camel

from core.errors import BadInput, FieldProblem
from core.request import OptimizationRequest, parse_request

MOST_VALUES = 200

_LOOSER_IS_HIGHER = {
    "maxLossProbability": True,
    "cvarLimit": True,
    "cvarConfidenceLevel": False,
    "minExpectedWinners": False,
    "bucketMaxWeight": True,
}
_BOUNDS = ("sectorBounds", "stageBounds")
_EXAMPLE = "cvarLimit=0.1:0.5:9"


@dataclass(frozen=True, slots=True)
class Variation:
    """field: path of the limit in the request. values: distinct, from the tightest to the loosest."""

    field: str
    values: tuple[float, ...]

    def asked(self, request: OptimizationRequest) -> float | None:
        """What the request itself says of the limit; None where it says nothing and has no default."""
        document: Any = request.model_dump(mode="json", by_alias=True)
        for key in _path(self.field):
            document = document.get(key) if isinstance(document, dict) else None
        return None if document is None else float(document)

    def applied(self, request: OptimizationRequest) -> list[OptimizationRequest]:
        """The request at each value. Raises BadInput with what is wrong with each."""
        requests: list[OptimizationRequest] = []
        problems: list[FieldProblem] = []
        for value in self.values:
            try:
                requests.append(parse_request(self._document(request, value)))
            except BadInput as error:
                problems += error.problems
        if problems:
            raise BadInput(problems)
        return requests

    def _document(self, request: OptimizationRequest, value: float) -> dict[str, Any]:
        document: dict[str, Any] = request.model_dump(mode="json", by_alias=True, exclude_unset=True)
        *parents, last = _path(self.field)
        node = document
        for key in parents:
            node = node.setdefault(key, {})
        node[last] = value
        return document


def parse_variation(texts: Sequence[str]) -> Variation:
    """texts: what was given as `--vary`, each time that it was. Raises BadInput."""
    if len(texts) != 1:
        raise BadInput.of("--vary", ", ".join(texts) or None, "must be given once: a frontier varies one limit")
    field, equals, values = texts[0].rpartition("=")
    if not equals:
        raise BadInput.of("--vary", texts[0], f"must be FIELD=START:STOP:COUNT or FIELD=VALUE,VALUE,...; {_EXAMPLE}")
    field = _limit(field)
    numbers = _spaced(values) if ":" in values else [_number(part) for part in values.split(",")]
    distinct = sorted({float(number) for number in numbers}, reverse=not _looser_is_higher(field))
    if not 2 <= len(distinct) <= MOST_VALUES:
        raise BadInput.of("--vary", values, f"must be 2 to {MOST_VALUES} different values")
    return Variation(field, tuple(distinct))


def _limit(text: str) -> str:
    head, dot, rest = text.partition(".")
    head = to_camel(head) if "_" in head else head
    if not dot and head in _LOOSER_IS_HIGHER:
        return head
    name, _, side = rest.rpartition(".")
    if head in _BOUNDS and name and side in ("min", "max"):
        return f"{head}.{rest}"
    known = [*_LOOSER_IS_HIGHER, *(f"{bounds}.NAME.min or .max" for bounds in _BOUNDS)]
    raise BadInput.of("--vary", text, f"must be one of {', '.join(known)}")


def _path(field: str) -> list[str]:
    """Keys from the outside in; a sector's name may hold a dot."""
    head, dot, rest = field.partition(".")
    if not dot:
        return [head]
    name, _, side = rest.rpartition(".")
    return [head, name, side]


def _looser_is_higher(field: str) -> bool:
    return _LOOSER_IS_HIGHER.get(field, field.endswith(".max"))


def _spaced(text: str) -> list[Fraction]:
    parts = text.split(":")
    if len(parts) != 3 or not parts[2].strip().isdecimal():
        raise BadInput.of("--vary", text, f"must be START:STOP:COUNT with a whole number as COUNT; {_EXAMPLE}")
    start, stop, count = _number(parts[0]), _number(parts[1]), int(parts[2])
    if not 2 <= count <= MOST_VALUES:
        raise BadInput.of("--vary", count, f"COUNT must be 2 to {MOST_VALUES}")
    # In rational numbers, so that the third of 0.1:0.5:9 is 0.2 and not a neighbor of it.
    return [start + (stop - start) * k / (count - 1) for k in range(count)]


def _number(text: str) -> Fraction:
    try:
        if math.isfinite(float(text)):
            return Fraction(text.strip())
    except ValueError:
        pass
    raise BadInput.of("--vary", text, "must be a finite number")
