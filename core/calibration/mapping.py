"""What the columns and values of somebody's funding history mean: the mapping an analyst writes, checked.

Values are compared exactly, after surrounding blanks are removed; an empty cell is the value "".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self

import polars as pl
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from core.errors import BadInput, FieldProblem
from core.stages import Stage

CompanyStatus = Literal["operating", "exited", "failed"]

LONGEST_SECTOR = 60

_RULES = {
    "extra_forbidden": "unknown key",
    "missing": "this key is required",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
}


def _usable_date_format(date_format: str) -> str:
    """A format is usable when it reads back the date that it wrote."""
    day = pl.lit(date(2001, 2, 3)).cast(pl.Datetime)
    try:
        read_back = pl.select(day.dt.strftime(date_format).str.to_date(date_format, strict=False)).item()
    except pl.exceptions.PolarsError:
        read_back = None
    if read_back != date(2001, 2, 3):
        raise ValueError("must tell day, month and year, like %Y-%m-%d or %d.%m.%Y")
    return date_format


def _printable_name(sector: str) -> str:
    """As a request must be able to name it."""
    if not 1 <= len(sector) <= LONGEST_SECTOR or sector != sector.strip() or not sector.isprintable():
        raise ValueError(
            f"must be 1 to {LONGEST_SECTOR} printable characters, neither starting nor ending with a blank"
        )
    return sector


def _sector_or_false(other: object) -> object:
    if isinstance(other, str):
        return _printable_name(other)
    if other is False:
        return other
    raise ValueError("must be the name of a sector, or false")


Name = Annotated[str, Field(min_length=1)]
SectorName = Annotated[str, AfterValidator(_printable_name)]
DateFormat = Annotated[str, AfterValidator(_usable_date_format)]


class MappingModel(BaseModel):
    """Frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CompanyColumns(MappingModel):
    """Names of the companies file's columns."""

    company_id: Name
    name: Name
    status: Name
    category: Name | None = Field(default=None, description="what sectors are made from; without it all are `other`")
    founded_on: Name | None = None
    status_date: Name | None = Field(default=None, description="day of the exit or failure")


class CompaniesMapping(MappingModel):
    """How to read the companies file. Companies that `keep_only` does not list are set aside, with their rounds."""

    columns: CompanyColumns
    status: dict[CompanyStatus, tuple[str, ...]]
    keep_only: dict[Name, tuple[str, ...]] = Field(default_factory=dict, description="column: values to keep")

    @model_validator(mode="after")
    def _each_status_once(self) -> Self:
        _refuse_repeats("status value", _flatten(self.status.values()))
        return self

    @property
    def status_by_value(self) -> dict[str, CompanyStatus]:
        return {value: status for status, values in self.status.items() for value in values}


class RoundColumns(MappingModel):
    """Names of the rounds file's columns. Amounts are in USD."""

    company_id: Name
    round_type: Name
    date: Name
    amount_usd: Name
    disposal_date: Name | None = Field(default=None, description="the day the investor's stake was sold or written off")
    disposal_proceeds_usd: Name | None = Field(default=None, description="0 or empty: written off")


class RoundsMapping(MappingModel):
    """How to read the rounds file: every round type is at a stage, of unknown stage, or set aside with its reason."""

    columns: RoundColumns
    stages: Annotated[dict[Stage, tuple[str, ...]], Field(min_length=1)]
    unknown_stage: tuple[str, ...] = ()
    set_aside: dict[str, Name] = Field(default_factory=dict, description="round type: why it is not counted")

    @model_validator(mode="after")
    def _each_type_once(self) -> Self:
        _refuse_repeats("round type", [*_flatten(self.stages.values()), *self.unknown_stage, *self.set_aside])
        return self

    @property
    def stage_by_type(self) -> dict[str, Stage]:
        return {value: stage for stage, values in self.stages.items() for value in values}

    @property
    def known_types(self) -> tuple[str, ...]:
        """Every round type the mapping names, whatever it says of it."""
        return (*self.stage_by_type, *self.unknown_stage, *self.set_aside)


class SectorsMapping(MappingModel):
    """Many categories to one sector. `other` takes the categories that are not listed; false sets them aside."""

    categories: dict[SectorName, tuple[str, ...]] = Field(default_factory=dict, description="sector: its categories")
    other: Annotated[str | Literal[False], BeforeValidator(_sector_or_false)]

    @model_validator(mode="after")
    def _each_category_once(self) -> Self:
        _refuse_repeats("category", _flatten(self.categories.values()))
        return self

    @property
    def sector_by_category(self) -> dict[str, str]:
        return {value: sector for sector, values in self.categories.items() for value in values}


class HistoryMapping(MappingModel):
    """The whole mapping file. `name` and `source` go into the provenance of what is calibrated with it."""

    name: Name
    source: Name = Field(description="where the history comes from, and on which terms")
    date_formats: Annotated[tuple[DateFormat, ...], Field(min_length=1)] = ("%Y-%m-%d",)
    companies: CompaniesMapping
    rounds: RoundsMapping
    sectors: SectorsMapping

    @model_validator(mode="after")
    def _a_sector_for_somebody(self) -> Self:
        if self.sectors.other is False and (self.companies.columns.category is None or not self.sectors.categories):
            raise ValueError("no company could have a sector: name `sectors.other`, or a category column and sectors")
        return self


def parse_mapping(document: Mapping[str, Any]) -> HistoryMapping:
    """Check a mapping as read from its file. Raises BadInput that lists every broken rule."""
    try:
        return HistoryMapping.model_validate(document)
    except ValidationError as error:
        problems = [
            FieldProblem(
                ".".join(("mapping", *map(str, found["loc"]))),
                None if found["type"] == "missing" else found["input"],
                _RULES.get(found["type"], found["msg"].removeprefix("Value error, ")),
            )
            for found in error.errors()
        ]
        raise BadInput(problems) from None


def _flatten(groups: Iterable[tuple[str, ...]]) -> list[str]:
    return [value for group in groups for value in group]


def _refuse_repeats(what: str, values: Iterable[str]) -> None:
    repeated = sorted(value for value, times in Counter(values).items() if times > 1)
    if repeated:
        raise ValueError(f"a {what} may be listed once only; repeated: {', '.join(map(repr, repeated))}")
