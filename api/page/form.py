"""The form of a request, made from the request's model: its names, descriptions, defaults and limits are the form's.

An input is named by the path of its field (`scenarioGenConfig.scenarioCount`), which is also how problems name it.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from annotated_types import Ge, Gt, Le, Lt
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from api.page.form_text import Kind, in_percent, label_of, sentence, shown
from core.request.fields import Location, RequestModel
from core.request.model import BucketGrid, OptimizationRequest
from core.request.scenarios import RegimeRequest
from core.request.size import LONGEST_NAME, MOST_SECTORS
from core.request.wording import field_path
from core.stages import Stage

SPARE_ROWS = 4
"""Lists have at least so many rows to fill in."""
MOST_ROWS = 50
"""Regimes that the form shows; a request may have more."""

GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "The fund and its limits": (
        "What there is to invest, and how much risk the partners accept.",
        (
            "fund_id",
            "total_fund_size",
            "max_loss_probability",
            "cvar_limit",
            "cvar_confidence_level",
            "min_expected_winners",
            "bucket_max_weight",
        ),
    ),
    "Where the fund may invest": ("A bucket is a stage in a sector.", ("buckets",)),
    "Limits by stage and sector": ("Leave empty what needs no limit.", ("stage_bounds", "sector_bounds")),
    "Deal terms": ("Leave empty to keep those of the calibration.", ("policy",)),
    "Scenarios": ("How many scenarios are simulated, and of what kind.", ("scenario_gen_config",)),
    "Versions and search": ("", ()),
}
"""Title, what it is about, and the request's fields in it. The last group takes the fields that no other names."""


@dataclass(frozen=True, slots=True)
class Input:
    location: Location
    kind: Kind
    label: str
    hint: str = ""
    unit: str = ""
    default: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()
    value: str = ""

    @property
    def path(self) -> str:
        return field_path(self.location)

    @property
    def chosen(self) -> frozenset[str]:
        return frozenset(self.value.splitlines())


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    inputs: tuple[Input, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Inputs for each stage or sector, or for each entry of a list."""

    path: str
    label: str
    hint: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def filled(self) -> bool:
        return any(cell.value for row in self.rows for cell in row.inputs)


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    hint: str
    inputs: tuple[Input, ...]
    tables: tuple[Table, ...]

    @property
    def paths(self) -> frozenset[str]:
        inside = [cell.path for table in self.tables for row in table.rows for cell in row.inputs]
        return frozenset([one.path for one in self.inputs] + [table.path for table in self.tables] + inside)

    @property
    def basic(self) -> bool:
        """Whether something in it must be filled in."""
        return any(one.required for one in self.inputs)

    @property
    def filled(self) -> bool:
        return any(one.value for one in self.inputs) or any(table.filled for table in self.tables)


@dataclass(frozen=True, slots=True)
class FormContext:
    """What the form offers beside the model: the fund's sectors, and its calibrations."""

    sectors: Sequence[str]
    calibrations: Sequence[str]


def form_groups(document: Mapping[str, Any], context: FormContext) -> list[Group]:
    """The whole form, filled with what the request document says; what it does not say is left to its default."""
    named = {name for _, names in GROUPS.values() for name in names}
    rest = tuple(name for name in OptimizationRequest.model_fields if name not in named)
    groups = []
    for title, (hint, names) in GROUPS.items():
        parts = [part for name in names or rest for part in _parts(OptimizationRequest, name, (), document, context)]
        inputs = tuple(part for part in parts if isinstance(part, Input))
        groups.append(Group(title, hint, inputs, tuple(part for part in parts if isinstance(part, Table))))
    return groups


def all_inputs(groups: Sequence[Group]) -> Iterator[Input]:
    for group in groups:
        yield from group.inputs
        for table in group.tables:
            for row in table.rows:
                yield from row.inputs


def _parts(
    model: type[RequestModel],
    name: str,
    within: Location,
    document: Mapping[str, Any],
    context: FormContext,
    outer: str = "",
) -> Iterator[Input | Table]:
    """outer: what encloses the field, where that is neither the request nor a group of its own."""
    field = model.model_fields[name]
    location = (*within, to_camel(name))
    nested = _nested(field.annotation)
    if nested is not None:
        for inner in nested.model_fields:
            yield from _parts(nested, inner, location, document, context, label_of(name) if within else "")
    elif name == "buckets":
        yield from _bucket_parts(location, document)
    elif get_origin(_bare(field.annotation)) is dict:
        yield _named_table(name, field, location, document, context)
    elif name == "regimes":
        yield _list_table(name, field, location, document)
    else:
        yield _input(name, field, location, document, context, outer)


def _bucket_parts(location: Location, document: Mapping[str, Any]) -> Iterator[Input]:
    """The grid as boxes and lines, the list as JSON: few funds list buckets, and those have a file of them."""
    value = found(document, location)
    for name, grid_field in BucketGrid.model_fields.items():
        kind: Kind = "checks" if name == "stages" else "lines"
        text = shown(kind, value.get(to_camel(name))) if isinstance(value, Mapping) else ""
        choices = tuple(Stage) if name == "stages" else ()
        yield Input(
            (*location, to_camel(name)),
            kind,
            label_of(name),
            sentence(grid_field.description or ""),
            choices=choices,
            value=text,
        )
    yield Input(
        location,
        "json",
        "Buckets one by one (JSON)",
        "Instead of stages and sectors: a list of buckets, each with stage and sector and its own figures",
        value=shown("json", value) if value is not None and not isinstance(value, Mapping) else "",
    )


def _named_table(
    name: str, field: FieldInfo, location: Location, document: Mapping[str, Any], context: FormContext
) -> Table:
    """A row for each stage or sector; what the document names beyond these has its row, too, so that it is seen."""
    key_type, value_type = get_args(_bare(field.annotation))
    by_stage = _bare(key_type) is Stage
    value = found(document, location)
    names = [str(stage) for stage in Stage] if by_stage else list(context.sectors)
    known = set(names)
    beyond = [str(key) for key in (value if isinstance(value, Mapping) else ()) if str(key) not in known]
    # Each name stands in every cell of its row, several times.
    names = [name for name in [*names, *beyond] if len(name) <= LONGEST_NAME][:MOST_SECTORS]
    inner = _nested(value_type)
    if inner is None:
        columns: list[tuple[str, Location, FieldInfo]] = [(label_of(name), (), _of_type(value_type))]
    else:
        columns = [(label_of(column), (to_camel(column),), one) for column, one in inner.model_fields.items()]
    rows = [
        Row(
            key,
            tuple(
                _cell(f"{label_of(name)}: {label.lower()}, {key}", one, (*location, key, *place), document)
                for label, place, one in columns
            ),
        )
        for key in names
    ]
    hint = in_percent(field.description or "") if inner is not None else field.description or ""
    return Table(
        field_path(location), label_of(name), sentence(hint), tuple(label for label, _, _ in columns), tuple(rows)
    )


def _list_table(name: str, field: FieldInfo, location: Location, document: Mapping[str, Any]) -> Table:
    """Regimes: a row each, and some to add."""
    value = found(document, location)
    length = min(len(value), MOST_ROWS) if isinstance(value, list | tuple) else 0
    flat = [
        (label, place, one)
        for column, outer in RegimeRequest.model_fields.items()
        for label, place, one in _flattened(column, outer)
    ]
    rows = [
        Row(
            f"{position + 1}",
            tuple(
                _cell(
                    f"{label_of(name)}: {label.lower()}, row {position + 1}",
                    one,
                    (*location, position, *place),
                    document,
                )
                for label, place, one in flat
            ),
        )
        for position in range(max(length + 1, SPARE_ROWS))
    ]
    columns = tuple(label for label, _, _ in flat)
    return Table(field_path(location), label_of(name), sentence(field.description or ""), columns, tuple(rows))


def _flattened(name: str, field: FieldInfo) -> list[tuple[str, Location, FieldInfo]]:
    nested = _nested(field.annotation)
    if nested is None:
        return [(label_of(name), (to_camel(name),), field)]
    return [
        (f"{label_of(name)}: {inner}", (to_camel(name), to_camel(inner)), one)
        for inner, one in nested.model_fields.items()
    ]


def _cell(label: str, field: FieldInfo, location: Location, document: Mapping[str, Any]) -> Input:
    """An input within a table; the table says what it means."""
    kind = _kind(field)
    unit = "%" if kind == "percent" else ""
    return Input(
        location, kind, label, unit=unit, default=_default(kind, field), value=shown(kind, found(document, location))
    )


def _input(
    name: str, field: FieldInfo, location: Location, document: Mapping[str, Any], context: FormContext, outer: str
) -> Input:
    kind = _kind(field)
    hint = field.description or ""
    choices: tuple[str, ...] = ()
    if kind == "choice":
        choices = tuple(str(choice) for choice in get_args(_bare(field.annotation)))
    if name == "calibration_version":
        kind, choices = "choice", tuple(context.calibrations)
    unit = "%" if kind == "percent" else "USD" if "USD" in hint else ""
    return Input(
        location,
        kind,
        f"{outer}: {label_of(name).lower()}" if outer else label_of(name),
        sentence(in_percent(hint) if kind == "percent" else hint),
        unit,
        _default(kind, field),
        field.is_required(),
        choices,
        shown(kind, found(document, location)),
    )


def _default(kind: Kind, field: FieldInfo) -> str:
    return "" if field.is_required() else shown(kind, field.default)


def _kind(field: FieldInfo) -> Kind:
    bare = _bare(field.annotation)
    if get_origin(bare) is Literal:
        return "choice"
    if bare is bool:
        return "flag"
    if bare is int:
        return "whole"
    if bare is float:
        return "percent" if _is_fraction(field) else "number"
    return "text" if bare in (str, UUID) else "json"


def _is_fraction(field: FieldInfo) -> bool:
    """Bounded from 0 to 1, or within."""
    limits = [*field.metadata, *_metadata_within(field.annotation)]
    low = [one.ge for one in limits if isinstance(one, Ge)] + [one.gt for one in limits if isinstance(one, Gt)]
    high = [one.le for one in limits if isinstance(one, Le)] + [one.lt for one in limits if isinstance(one, Lt)]
    return any(float(str(least)) >= 0 for least in low) and any(float(str(most)) <= 1 for most in high)


def _metadata_within(annotation: Any) -> list[Any]:
    """Of `Annotated` within a union, where pydantic leaves it; a `Field` in it holds its own."""
    found_here: list[Any] = []
    if get_origin(annotation) is Annotated:
        for one in get_args(annotation)[1:]:
            found_here += one.metadata if isinstance(one, FieldInfo) else [one]
        return found_here + _metadata_within(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        for option in get_args(annotation):
            found_here += _metadata_within(option)
    return found_here


def _of_type(annotation: Any) -> FieldInfo:
    return FieldInfo.from_annotation(annotation)


def _bare(annotation: Any) -> Any:
    """Without `Annotated` and without None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        options = [option for option in get_args(annotation) if option is not type(None)]
        return _bare(options[0]) if len(options) == 1 else annotation
    return annotation


def _nested(annotation: Any) -> type[RequestModel] | None:
    bare = _bare(annotation)
    return bare if isinstance(bare, type) and issubclass(bare, RequestModel) else None


def found(document: Any, location: Location) -> Any:
    """What stands there; None where nothing does."""
    for step in location:
        if isinstance(step, int):
            document = document[step] if isinstance(document, list | tuple) and step < len(document) else None
        else:
            document = document.get(step) if isinstance(document, Mapping) else None
    return document
