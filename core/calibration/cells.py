"""From the cells of a file to text, dates and amounts, and how a bad cell is reported.

A cell is text without surrounding blanks, null when nothing is left. A date or an amount keeps its text beside it, as
`<role>_text`. Rows are numbered from 1, the first below the header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from core.errors import BadInput, FieldProblem

EARLIEST_YEAR = 1000
"""A year below has lost its century: with %Y, "13-02-03" reads as a day of the year 13."""

_ROWS_SHOWN = 5
_VALUES_SHOWN = 10


def read_cells(
    table: pl.LazyFrame,
    file: str,
    columns: Mapping[str, str],
    *,
    dates: Sequence[str] = (),
    amounts: Sequence[str] = (),
    date_formats: Sequence[str],
) -> pl.DataFrame:
    """The named columns as text, dates and amounts, with a `row` number; a date or amount that is none is null.

    columns: role to column name; `dates` and `amounts` are roles among them.
    Raises BadInput for a table that cannot be read, lacks a column or has no rows.
    """
    try:
        schema = table.collect_schema()
        _require_columns(schema, file, columns)
        cells = [_text(schema[column], column).alias(role) for role, column in columns.items()]
        rows = table.select(cells).with_row_index("row", offset=1).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BadInput.of(f"{file} file", file, f"cannot be read: {reason}") from error
    if rows.is_empty():
        raise BadInput.of(f"{file} file", "no rows", "must hold at least one row below the header")
    return rows.with_columns(
        *(pl.col(role).alias(f"{role}_text") for role in (*dates, *amounts)),
        *(_date(role, date_formats) for role in dates),
        *(pl.col(role).cast(pl.Float64, strict=False) for role in amounts),
    )


def bad_cells(rows: pl.DataFrame, bad: pl.Expr, value: str, field: str, rule: str) -> list[FieldProblem]:
    """One problem for all rows where `bad` holds, with the first value and the first row numbers.

    value: the column of `rows` to quote.
    """
    found = rows.filter(bad).sort("row")
    if found.is_empty():
        return []
    return [FieldProblem(field, found[value][0], f"{rule} ({_where(found['row'])})")]


def unlisted_values(rows: pl.DataFrame, value: str, listed: Sequence[str], field: str, rule: str) -> list[FieldProblem]:
    """One problem for each value that is not listed, in the order of their first rows. An empty cell is ""."""
    found = (
        rows.filter(~pl.col(value).fill_null("").is_in(list(listed)))
        .group_by(pl.col(value).fill_null(""))
        .agg(pl.col("row").sort())
        .sort(pl.col("row").list.first())
    )
    problems = [
        FieldProblem(field, name, f"{rule} ({_where(at)})") for name, at in found.head(_VALUES_SHOWN).iter_rows()
    ]
    if found.height > _VALUES_SHOWN:
        problems.append(FieldProblem(field, "...", f"{found.height - _VALUES_SHOWN} more values that are not listed"))
    return problems


def _require_columns(schema: pl.Schema, file: str, columns: Mapping[str, str]) -> None:
    missing = [
        FieldProblem(
            f"{file} column for {role}", column, f"the {file} file has no such column; it has: {', '.join(schema)}"
        )
        for role, column in columns.items()
        if column not in schema
    ]
    if missing:
        raise BadInput(missing)


def _text(kind: pl.DataType, column: str) -> pl.Expr:
    # A time of day says nothing here, and its text would fit no date format.
    cell = pl.col(column).dt.date() if isinstance(kind, pl.Datetime) else pl.col(column)
    text = cell.cast(pl.String).str.strip_chars()
    return pl.when(text != "").then(text)


def _date(role: str, formats: Sequence[str]) -> pl.Expr:
    # ISO comes last: it is how the dates of a Parquet file look as text.
    day = pl.coalesce(pl.col(role).str.to_date(wanted, strict=False) for wanted in (*formats, "%Y-%m-%d"))
    return pl.when(day.dt.year() >= EARLIEST_YEAR).then(day).alias(role)


def _where(rows: Sequence[int] | pl.Series) -> str:
    shown = ", ".join(map(str, rows[:_ROWS_SHOWN]))
    if len(rows) == 1:
        return f"row {shown}"
    return f"{len(rows):,} rows: {shown}{', ...' if len(rows) > _ROWS_SHOWN else ''}"
