"""A fund's history as its rows in the database have it."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
from sqlalchemy import Connection

from core.calibration.history import NO_SECTOR_IN_ROW, History, RowTally
from core.errors import BadInput, FieldProblem
from db.funds import Fund
from db.sql import Statements

_SQL = Statements("fund_history")

_COMPANY_SCHEMA: dict[str, Any] = {
    "company_id": pl.String,
    "name": pl.String,
    "category": pl.String,
    "sector": pl.String,
    "status": pl.String,
    "status_date": pl.Date,
    "founded_on": pl.Date,
    "last_round_on": pl.Date,
    "unplaced_on": pl.Date,
    "known_until": pl.Date,
}

_ROUND_SCHEMA: dict[str, Any] = {
    "company_id": pl.String,
    "round_type": pl.String,
    "stage": pl.String,
    "stage_inferred": pl.Boolean,
    "date": pl.Date,
    "amount_usd": pl.Float64,
    "disposal_date": pl.Date,
    "disposal_proceeds_usd": pl.Float64,
}


def read_fund_history(conn: Connection, fund: Fund, as_of: date) -> History:
    """The same history as the files that were loaded, but for the rows that were set aside then.

    A company that was followed up to an earlier day than `as_of` is known up to that day only.
    Raises BadInput for a fund without rows, or an as-of date before the day up to which a company was followed: what
    was heard of it later would have to be forgotten, and cannot be.
    """
    companies = pl.DataFrame(conn.execute(_SQL["companies"], {"fund": fund.id}).all(), _COMPANY_SCHEMA, orient="row")
    rounds = pl.DataFrame(conn.execute(_SQL["rounds"], {"fund": fund.id}).all(), _ROUND_SCHEMA, orient="row")
    _check(companies, rounds, fund, as_of)
    usable = companies.filter(pl.col("sector").is_not_null()).with_columns(pl.col("known_until").fill_null(as_of))
    used = rounds.join(usable.select("company_id"), on="company_id", how="semi")
    if used.is_empty():
        raise BadInput.of("history", f"fund {fund.name}", "no company of the fund has both a sector and a round")
    return History(
        companies=usable.sort("company_id"),
        rounds=used.sort("company_id", "date", pl.exclude("company_id", "date"), nulls_last=True),
        company_rows=_tally(companies.height, usable.height),
        round_rows=_tally(rounds.height, used.height),
        as_of=as_of,
    )


def _check(companies: pl.DataFrame, rounds: pl.DataFrame, fund: Fund, as_of: date) -> None:
    if companies.is_empty():
        raise BadInput.of("history", f"fund {fund.name}", "the fund has no companies yet; load them from files first")
    days = {
        "a company was followed until then": companies["known_until"].max(),
        "a round was raised then": rounds["date"].max(),
    }
    problems = [
        FieldProblem("asOf", as_of.isoformat(), f"must not be before {day}: {why}")
        for why, day in days.items()
        if isinstance(day, date) and day > as_of
    ]
    if problems:
        raise BadInput(problems)


def _tally(read: int, used: int) -> RowTally:
    return RowTally(read, used, {NO_SECTOR_IN_ROW: read - used} if read > used else {})
