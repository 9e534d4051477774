"""What a request's form refuses, said as field, value and rule in plain words."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from core.errors import FieldProblem
from core.request import model, scenarios
from core.request.fields import Inconsistent, Location, RequestModel

WHOLE_REQUEST = "request"
"""The field named when the problem is the document itself."""

_MODELS: tuple[type[RequestModel], ...] = (
    model.OptimizationRequest,
    model.PolicyRequest,
    model.BucketGrid,
    model.BucketRequest,
    model.Bounds,
    scenarios.ScenarioGenConfig,
    scenarios.RecyclingConfig,
    scenarios.RegimeConfig,
    scenarios.LabelledCorrelation,
    scenarios.RegimeRequest,
    scenarios.ShockRange,
)
_CAMEL_CASE = {name: to_camel(name) for request_model in _MODELS for name in request_model.model_fields}
_CAMEL_CASE |= {"medianMOIC": "medianMoic", "p90MOIC": "p90Moic", "checkSizeCV": "checkSizeCv"}

# What pydantic adds to a location and no document has: which form of a union it read, that a key is meant.
_MARKS = {model.LISTED, model.GRID, scenarios.ROWS, scenarios.LABELLED, "[key]"}

_RULES = {
    "missing": "is required",
    "extra_forbidden": "is not a field here, or repeats one in its other spelling",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "enum": "must be one of {expected}",
    "literal_error": "must be {expected}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "tuple_type": "must be a list",
}


def problems_in_words(error: ValidationError, within: Location = ()) -> list[FieldProblem]:
    """Every problem that pydantic found, contradictions unfolded; `within`: where the validated value stands."""
    return [problem for detail in error.errors(include_url=False) for problem in _problems(detail, within)]


def field_path(location: Location) -> str:
    """`scenarioGenConfig.regimeConfig.regimes[1].probability`, whichever spelling the document used."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step not in _MARKS:
            name = _CAMEL_CASE.get(step, step)
            path += "." * bool(path) + (name if name.isprintable() else ascii(name))
    return path or WHOLE_REQUEST


def _problems(detail: ErrorDetails, within: Location) -> list[FieldProblem]:
    place = (*within, *detail["loc"])
    context = detail.get("ctx", {})
    inconsistent = context.get("error")
    if isinstance(inconsistent, Inconsistent):
        return [
            FieldProblem(field_path((*place, *location)), value, rule)
            for location, value, rule in inconsistent.contradictions
        ]
    shown = {name: f"{item:,.12g}" if isinstance(item, int | float) else item for name, item in context.items()}
    rule = _RULES.get(detail["type"], detail["msg"]).format(**shown)
    value = None if detail["type"] == "missing" else detail["input"]
    return [FieldProblem(field_path(place), value, rule)]
