"""What makes a history wrong as a whole: cells that mean nothing, and rows that contradict each other."""

from __future__ import annotations

from datetime import date

import polars as pl

from core.calibration.cells import bad_cells, unlisted_values
from core.calibration.mapping import HistoryMapping
from core.errors import FieldProblem


def check_companies(companies: pl.DataFrame, mapping: HistoryMapping) -> list[FieldProblem]:
    """companies: as `read_cells` gives them. Every problem found; none for a sound file."""
    columns = mapping.companies.columns
    problems = [
        *_check_ids(companies, f"companies.{columns.company_id}"),
        *bad_cells(
            companies,
            pl.col("company_id").is_not_null() & pl.col("company_id").is_duplicated(),
            "company_id",
            f"companies.{columns.company_id}",
            "each company may have one row only",
        ),
        *bad_cells(companies, pl.col("name").is_null(), "name", f"companies.{columns.name}", "must not be empty"),
        *unlisted_values(
            companies,
            "status",
            list(mapping.companies.status_by_value),
            f"companies.{columns.status}",
            "the mapping's companies.status does not list this value",
        ),
    ]
    if columns.founded_on:
        problems += _check_date(companies, "founded_on", f"companies.{columns.founded_on}", mapping)
    if columns.status_date:
        field = f"companies.{columns.status_date}"
        alive = [value for value, status in mapping.companies.status_by_value.items() if status == "operating"]
        early = pl.col("status_date_text").is_not_null() & pl.col("status").fill_null("").is_in(alive)
        problems += _check_date(companies, "status_date", field, mapping)
        problems += bad_cells(
            companies, early, "status_date_text", field, "must be empty while the company is operating"
        )
    return problems


def check_rounds(rounds: pl.DataFrame, companies: pl.DataFrame, mapping: HistoryMapping) -> list[FieldProblem]:
    """rounds, companies: as `read_cells` gives them. Every problem found; none for a sound file."""
    columns = mapping.rounds.columns
    stranger = pl.col("company_id").is_not_null() & ~pl.col("company_id").is_in(companies["company_id"].implode())
    problems = [
        *_check_ids(rounds, f"rounds.{columns.company_id}"),
        *bad_cells(
            rounds, stranger, "company_id", f"rounds.{columns.company_id}", "the companies file has no such company"
        ),
        *unlisted_values(
            rounds,
            "round_type",
            mapping.rounds.known_types,
            f"rounds.{columns.round_type}",
            "the mapping's rounds section (stages, unknown_stage, set_aside) does not list this value",
        ),
        *_check_date(rounds, "date", f"rounds.{columns.date}", mapping),
        *_check_amount(rounds, "amount_usd", f"rounds.{columns.amount_usd}"),
    ]
    if columns.disposal_date:
        field = f"rounds.{columns.disposal_date}"
        problems += _check_date(rounds, "disposal_date", field, mapping)
        problems += bad_cells(
            rounds, pl.col("disposal_date") < pl.col("date"), "disposal_date_text", field, "must not precede the round"
        )
    if columns.disposal_proceeds_usd:
        field = f"rounds.{columns.disposal_proceeds_usd}"
        undated = pl.col("disposal_proceeds_usd").is_not_null() & pl.col("disposal_date_text").is_null()
        problems += _check_amount(rounds, "disposal_proceeds_usd", field)
        problems += bad_cells(rounds, undated, "disposal_proceeds_usd_text", field, "proceeds need a disposal date")
    return problems


def check_status_dates(companies: pl.DataFrame, rounds: pl.DataFrame, mapping: HistoryMapping) -> list[FieldProblem]:
    """An exit or failure cannot precede a round at a known stage. companies: all cells; rounds: those that are used."""
    column = mapping.companies.columns.status_date
    if column is None:
        return []
    last = rounds.group_by("company_id").agg(pl.col("date").max().alias("last_round"))
    return bad_cells(
        companies.join(last, on="company_id", how="left"),
        pl.col("status_date") < pl.col("last_round"),
        "status_date_text",
        f"companies.{column}",
        "must not precede the company's last round",
    )


def check_not_empty(rounds: pl.DataFrame, as_of: date, set_aside: dict[str, int]) -> list[FieldProblem]:
    """Something must be left to calibrate from. rounds: those that are used."""
    if not rounds.is_empty():
        return []
    reasons = "; ".join(f"{reason}: {count:,}" for reason, count in set_aside.items())
    return [FieldProblem("history", f"as of {as_of}", f"no round is left at a known stage; set aside: {reasons}")]


def _check_ids(rows: pl.DataFrame, field: str) -> list[FieldProblem]:
    # PostgreSQL's text cannot hold the character NUL.
    texts = [name for name, kind in rows.schema.items() if kind == pl.String]
    nul = pl.any_horizontal(pl.col(name).str.contains("\0", literal=True) for name in texts)
    return [
        *bad_cells(rows, pl.col("company_id").is_null(), "company_id", field, "must not be empty"),
        *bad_cells(rows, nul, "company_id", field, "the row holds a NUL character"),
    ]


def _check_date(rows: pl.DataFrame, role: str, field: str, mapping: HistoryMapping) -> list[FieldProblem]:
    bad = pl.col(f"{role}_text").is_not_null() & pl.col(role).is_null()
    rule = f"must be a date written like {' or '.join(mapping.date_formats)}"
    return bad_cells(rows, bad, f"{role}_text", field, rule)


def _check_amount(rows: pl.DataFrame, role: str, field: str) -> list[FieldProblem]:
    number, text = pl.col(role), f"{role}_text"
    no_number = pl.col(text).is_not_null() & (number.is_null() | ~number.is_finite())
    return [
        *bad_cells(rows, no_number, text, field, "must be a number in USD, written like 1250000 or 1250000.50"),
        *bad_cells(rows, number.is_finite() & (number < 0), text, field, "must not be negative"),
    ]
