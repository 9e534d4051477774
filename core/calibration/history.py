"""A funding history, read and checked: every row is used, or set aside for a reason that is counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import reduce

import polars as pl

from core.calibration.cells import read_cells
from core.calibration.checks import check_companies, check_not_empty, check_rounds, check_status_dates
from core.calibration.mapping import HistoryMapping
from core.calibration.placement import STAGES, place_rounds
from core.errors import BadInput

NO_SECTOR = "category is in no sector of the mapping"
NO_SECTOR_IN_ROW = "company without a sector"
COMPANY_SET_ASIDE = "the company is set aside"
NO_DATE = "no date"


@dataclass(frozen=True, slots=True)
class RowTally:
    """rows read = used + the sum of `set_aside` (reason: rows; most frequent first)."""

    read: int
    used: int
    set_aside: dict[str, int]


@dataclass(frozen=True, slots=True)
class HistorySource:
    """What a history is called and where it comes from; both go into the provenance of what is calibrated with it."""

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class History:
    """What a calibration may use, in an order that does not depend on the files' order.

    companies: company_id, name, category, sector, status (operating, exited, failed), status_date, founded_on; and
      last_round_on, the date of its last round of any type; unplaced_on, that of the first round after its last one at
      a stage whose own stage could not be told (null when there is none); known_until, the day up to which it was
      followed. All at or before `as_of`.
    rounds: company_id, round_type, stage, stage_inferred, date, amount_usd, disposal_date, disposal_proceeds_usd;
      all at a stage, dated at or before `as_of`, and of one of `companies`.
    """

    companies: pl.DataFrame
    rounds: pl.DataFrame
    company_rows: RowTally
    round_rows: RowTally
    as_of: date


def read_history(companies: pl.LazyFrame, rounds: pl.LazyFrame, mapping: HistoryMapping, as_of: date) -> History:
    """Read both files' tables as the mapping says.

    as_of: the day up to which the history is known; later rounds are set aside.
    Raises BadInput for a missing column, a cell that means nothing, a row that contradicts another, an empty history.
    """
    company_cells = _company_cells(companies, mapping)
    round_cells = _round_cells(rounds, mapping)
    problems = [*check_companies(company_cells, mapping), *check_rounds(round_cells, company_cells, mapping)]
    if problems:
        raise BadInput(problems)
    judged_companies = _judge_companies(company_cells, mapping)
    used_companies = judged_companies.filter(pl.col("reason").is_null())
    judged_rounds = _judge_rounds(round_cells, used_companies, mapping, as_of)
    used_rounds = judged_rounds.filter(pl.col("reason").is_null())
    round_rows = _tally(judged_rounds)
    problems = [
        *check_not_empty(used_rounds, as_of, round_rows.set_aside),
        *check_status_dates(company_cells, used_rounds, mapping),
    ]
    if problems:
        raise BadInput(problems)
    return History(
        _with_last_rounds(used_companies, judged_rounds, as_of),
        _finish_rounds(used_rounds),
        _tally(judged_companies),
        round_rows,
        as_of,
    )


def _company_cells(companies: pl.LazyFrame, mapping: HistoryMapping) -> pl.DataFrame:
    named = mapping.companies.columns.model_dump(exclude_none=True)
    kept = {f"keep_only.{column}": column for column in mapping.companies.keep_only}
    dates = [role for role in ("founded_on", "status_date") if role in named]
    return read_cells(companies, "companies", named | kept, dates=dates, date_formats=mapping.date_formats)


def _round_cells(rounds: pl.LazyFrame, mapping: HistoryMapping) -> pl.DataFrame:
    named = mapping.rounds.columns.model_dump(exclude_none=True)
    dates = [role for role in ("date", "disposal_date") if role in named]
    amounts = [role for role in ("amount_usd", "disposal_proceeds_usd") if role in named]
    return read_cells(rounds, "rounds", named, dates=dates, amounts=amounts, date_formats=mapping.date_formats)


def _judge_companies(cells: pl.DataFrame, mapping: HistoryMapping) -> pl.DataFrame:
    """All companies, with `reason` (null: used). The first rule that is broken counts."""
    columns, sectors = mapping.companies.columns, mapping.sectors
    category = pl.col("category") if columns.category else pl.lit(None, pl.String)
    status = pl.col("status").fill_null("").replace_strict(mapping.companies.status_by_value, return_dtype=pl.String)
    sector = category.fill_null("").replace_strict(
        sectors.sector_by_category, default=sectors.other or None, return_dtype=pl.String
    )
    companies = cells.select(
        "company_id",
        "name",
        category.alias("category"),
        sector.alias("sector"),
        status.alias("status"),
        *(
            pl.col(role) if role in cells.columns else pl.lit(None, pl.Date).alias(role)
            for role in ("status_date", "founded_on")
        ),
        *(pl.col(f"keep_only.{column}").fill_null("") for column in mapping.companies.keep_only),
    )
    rules = [
        (~pl.col(f"keep_only.{column}").is_in(list(values)), f"{column} is none of those that keep_only lists")
        for column, values in mapping.companies.keep_only.items()
    ]
    return companies.with_columns(_first_reason([*rules, (pl.col("sector").is_null(), NO_SECTOR)])).select(
        pl.exclude(r"^keep_only\..*$")
    )


def _judge_rounds(cells: pl.DataFrame, used: pl.DataFrame, mapping: HistoryMapping, as_of: date) -> pl.DataFrame:
    """All rounds, with `reason` (null: used). The first rule that is broken counts."""
    kind = pl.col("round_type")
    rules = [
        (~pl.col("company_id").is_in(used["company_id"].implode()), COMPANY_SET_ASIDE),
        *((kind == value, f"round type {value!r}: {reason}") for value, reason in mapping.rounds.set_aside.items()),
        (pl.col("date").is_null(), NO_DATE),
        (pl.col("date") > as_of, f"dated after {as_of}"),
    ]
    codes = {value: STAGES.index(stage) for value, stage in mapping.rounds.stage_by_type.items()}
    rounds = (
        cells.with_columns(kind.fill_null(""))
        .select(
            "company_id",
            "round_type",
            "date",
            "amount_usd",
            *(
                pl.col(role) if role in cells.columns else pl.lit(None, missing).alias(role)
                for role, missing in (("disposal_date", pl.Date()), ("disposal_proceeds_usd", pl.Float64()))
            ),
            kind.replace_strict(codes, default=None, return_dtype=pl.Int64).alias("stage_code"),
        )
        .with_columns(_first_reason(rules))
    )
    refused = rounds.filter(pl.col("reason").is_not_null())
    placed = place_rounds(rounds.filter(pl.col("reason").is_null()).drop("reason"))
    return pl.concat([refused, placed], how="diagonal")


def _with_last_rounds(companies: pl.DataFrame, judged: pl.DataFrame, as_of: date) -> pl.DataFrame:
    seen = judged.filter(pl.col("date") <= as_of)
    at_stage = pl.col("reason").is_null()
    unplaced = pl.col("stage_inferred").is_not_null() & pl.col("stage_code").is_null()
    last = (
        seen.with_columns(pl.col("date").filter(at_stage).max().over("company_id").alias("last_placed_on"))
        .group_by("company_id")
        .agg(
            pl.col("date").max().alias("last_round_on"),
            pl.col("date").filter(unplaced & (pl.col("date") > pl.col("last_placed_on"))).min().alias("unplaced_on"),
        )
    )
    return (
        companies.drop("reason")
        .join(last, on="company_id", how="left")
        .with_columns(pl.lit(as_of).alias("known_until"))
        .sort("company_id")
    )


def _finish_rounds(used: pl.DataFrame) -> pl.DataFrame:
    names = dict(enumerate(STAGES))
    return used.select(
        "company_id",
        "round_type",
        pl.col("stage_code").replace_strict(names, return_dtype=pl.String).alias("stage"),
        "stage_inferred",
        "date",
        "amount_usd",
        "disposal_date",
        "disposal_proceeds_usd",
    ).sort("company_id", "date", pl.exclude("company_id", "date"), nulls_last=True)


def _first_reason(rules: list[tuple[pl.Expr, str]]) -> pl.Expr:
    none = pl.lit(None, pl.String)
    chain = reduce(lambda rest, rule: pl.when(rule[0]).then(pl.lit(rule[1])).otherwise(rest), reversed(rules), none)
    return chain.alias("reason")


def _tally(judged: pl.DataFrame) -> RowTally:
    counted = judged.filter(pl.col("reason").is_not_null()).group_by("reason").len()
    set_aside = dict(counted.sort("len", "reason", descending=[True, False]).iter_rows())
    return RowTally(judged.height, judged.height - sum(set_aside.values()), set_aside)
