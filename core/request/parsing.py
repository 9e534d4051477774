"""From what was typed to a request, or to a list of everything that is wrong with it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from core.canonical import canonical_json, sha256_hex
from core.errors import BadInput, FieldProblem
from core.request.fields import Location
from core.request.model import OptimizationRequest
from core.request.size import size_problem
from core.request.wording import WHOLE_REQUEST, field_path, problems_in_words

MAX_DEPTH = 32
"""A request has no more than eight levels; text nested deeper than this is not one."""


def parse_request(document: object, default_fund: UUID | None = None) -> OptimizationRequest:
    """The request in a parsed JSON document. default_fund: of a request that names none; None: it must.

    Raises `BadInput` with every problem found, in camelCase paths.
    """
    if default_fund is not None and isinstance(document, Mapping) and not {"fundId", "fund_id"} & document.keys():
        document = {**document, "fundId": str(default_fund)}
    oversize = size_problem(document)
    if oversize is not None:
        raise BadInput([oversize])
    try:
        return OptimizationRequest.model_validate(document)
    except ValidationError as error:
        problems = problems_in_words(error)
    raise BadInput(problems)


def parse_request_text(text: str, default_fund: UUID | None = None) -> OptimizationRequest:
    """The request in JSON `text`. default_fund: of a request that names none; None: it must.

    Raises `BadInput`; for broken JSON it names line and column.

    What JSON parsers tend to let through is refused: a key twice in one object, NaN and infinities.
    """
    try:
        document = json.loads(text, object_pairs_hook=_JsonObject)
        repeated = list(_repeated_keys(document, ()))
    except json.JSONDecodeError as error:
        line = text.split("\n")[error.lineno - 1]
        place = f"line {error.lineno}, column {error.colno}"
        raise BadInput.of(WHOLE_REQUEST, line, f"is not JSON: {error.msg} at {place}") from None
    except RecursionError:
        raise BadInput.of(WHOLE_REQUEST, text[:60], f"must not be nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:
        # Well-formed JSON, yet Python bounds the digits of an integer.
        raise BadInput.of(WHOLE_REQUEST, text[:60], "holds a whole number of too many digits") from None
    if repeated:
        raise BadInput(repeated)
    return parse_request(document, default_fund)


def request_hash(request: OptimizationRequest) -> str:
    """sha256 (hex) of what the request says itself, its defaults left out: one for both spellings of its keys."""
    return sha256_hex(canonical_json(request.model_dump(mode="json", by_alias=True, exclude_unset=True)))


class _JsonObject(dict[str, Any]):
    """A JSON object that remembers which of its keys were given more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated = [key for key, n in Counter(key for key, _ in pairs).items() if n > 1]


def _repeated_keys(node: object, place: Location) -> Iterator[FieldProblem]:
    if len(place) > MAX_DEPTH:
        raise RecursionError
    children: Iterable[tuple[str | int, Any]] = ()
    if isinstance(node, _JsonObject):
        children = node.items()
        for repeated in node.repeated:
            yield FieldProblem(field_path((*place, repeated)), node[repeated], "is given more than once in one object")
    elif isinstance(node, list):
        children = enumerate(node)
    for key, child in children:
        yield from _repeated_keys(child, (*place, key))
