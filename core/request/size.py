"""How much a request may hold, judged before anything is made of it: what is small to send may be large to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.errors import FieldProblem
from core.request.fields import Location
from core.request.wording import field_path

MOST_SECTORS = 500
MOST_ENTRIES = 2_000
"""Of one list or object, such as the buckets of a list."""
LONGEST_NAME = 60
MOST_VALUES = 100_000
"""Of the whole request; correlations between 300 sectors are 90,000."""


def size_problem(document: object) -> FieldProblem | None:
    """The first list or object that is too long, else the whole where that is."""
    waiting: list[tuple[Location, object]] = [((), document)]
    values = 0
    while waiting:
        place, node = waiting.pop()
        values += 1
        if values > MOST_VALUES:
            return FieldProblem(field_path(()), "...", f"must hold at most {MOST_VALUES:,} values")
        children: Sequence[tuple[str | int, object]] = ()
        if isinstance(node, Mapping):
            children = [(str(key), child) for key, child in node.items()]
        elif isinstance(node, list | tuple):
            children = list(enumerate(node))
        most = MOST_SECTORS if place[-1:] == ("sectors",) else MOST_ENTRIES
        if len(children) > most:
            return FieldProblem(field_path(place), f"{len(children)} entries", f"must have at most {most:,} entries")
        waiting += [((*place, key), child) for key, child in reversed(children)]
    return None
