"""The kinds of value a request is made of: strict, so that nothing is guessed from what was typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict
from pydantic.alias_generators import to_camel

Location = tuple[str | int, ...]
"""Where a value stands in a document: keys and list positions from the outside in."""


class Inconsistent(ValueError):
    """Values that are each well formed and yet contradict one another: (location, value, rule) of every contradiction.

    Validators raise it; locations are relative to the value they validate.
    """

    def __init__(self, contradictions: Sequence[tuple[Location, object, str]]) -> None:
        self.contradictions = tuple(contradictions)
        super().__init__("; ".join(f"{value!r} {rule}" for _, value, rule in contradictions))


def _for_forms(schema: dict[str, Any]) -> None:
    """Prefect's form orders fields by `position`, since its database forgets the order of an object's keys, and offers
    to choose only among alternatives that are not nested."""
    for position, field in enumerate(schema.get("properties", {}).values()):
        field["position"] = position
        if "anyOf" in field:
            field["anyOf"] = [form for nested in field["anyOf"] for form in nested.get("oneOf", [nested])]


class RequestModel(BaseModel):
    """Reads camelCase and snake_case, writes camelCase with `by_alias=True`, knows no other keys than its own."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        field_title_generator=lambda name, _field: name.replace("_", " "),
        json_schema_extra=_for_forms,
    )


def _whole(value: object) -> object:
    """JSON does not tell 400.0 from 400, so neither do we."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _printable(longest: int) -> Callable[[str], str]:
    rule = f"must be 1 to {longest} printable characters, neither starting nor ending with a space"

    def check(text: str) -> str:
        if not text or text != text.strip() or not text.isprintable() or len(text) > longest:
            raise Inconsistent([((), text, rule)])
        return text

    return check


def _not_empty(values: Sized) -> Sized:
    if not values:
        raise Inconsistent([((), [], "must not be empty")])
    return values


Number = Annotated[float, Strict()]
Fraction = Annotated[Number, Field(ge=0, le=1)]
FractionBelowOne = Annotated[Number, Field(ge=0, lt=1)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
SignedFraction = Annotated[Number, Field(ge=-1, le=1)]
WholeNumber = Annotated[int, Strict()]
WHOLE = BeforeValidator(_whole)
"""Goes after the limits of a `WholeNumber`, or its JSON Schema would not show them."""
Flag = Annotated[bool, Strict()]
Name = Annotated[
    str, Strict(), AfterValidator(_printable(60)), Field(json_schema_extra={"minLength": 1, "maxLength": 60})
]
VersionName = Annotated[
    str, Strict(), AfterValidator(_printable(100)), Field(json_schema_extra={"minLength": 1, "maxLength": 100})
]

T = TypeVar("T")
NotEmpty = Annotated[tuple[T, ...], AfterValidator(_not_empty), Field(json_schema_extra={"minItems": 1})]
"""A list of one or more. pydantic's own minimum counts well-formed entries only and so complains wrongly."""
