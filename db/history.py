"""Funding history: its files, and a fund's companies and rounds in the database."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
from sqlalchemy import Connection, text

from core.calibration.history import History
from core.calibration.mapping import HistoryMapping, parse_mapping
from core.errors import BadInput, Unavailable
from db.sql import Statements

_SQL = Statements("history")

# In the order of the tables above, which COPY fills by position.
_COMPANY_COLUMNS = (
    *("company_id", "name", "sector", "category", "status", "status_date", "founded_on"),
    *("last_round_on", "unplaced_on", "known_until"),
)
_ROUND_COLUMNS = (
    *("company_id", "round_type", "stage", "stage_inferred", "date"),
    *("amount_usd", "disposal_date", "disposal_proceeds_usd"),
)


@dataclass(frozen=True, slots=True)
class LoadCounts:
    """What a load changed. Companies of the fund that the file does not name are kept, with their rounds."""

    companies_inserted: int
    companies_updated: int
    companies_unchanged: int
    companies_kept: int
    rounds_replaced: int
    rounds_loaded: int


def read_mapping(path: Path) -> HistoryMapping:
    """Raises BadInput for a file that is missing, is not TOML, or breaks a rule of the mapping."""
    _require_file("mapping file", path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadInput.of("mapping file", str(path), f"must be TOML: {error}") from error
    return parse_mapping(document)


def scan_table(what: str, path: Path) -> pl.LazyFrame:
    """A table that is read when it is needed. `.parquet` keeps its types; any other file is CSV, all cells text.

    what: names the file in messages. Raises BadInput for a missing file.
    """
    _require_file(f"{what} file", path)
    if path.suffix.lower() == ".parquet":
        return pl.scan_parquet(path, glob=False)
    return pl.scan_csv(path, infer_schema=False, glob=False)


def load_history(conn: Connection, fund_id: UUID, history: History) -> LoadCounts:
    """Put the history's companies and rounds into the fund, in the caller's transaction.

    A company is known by its id within the fund: it is inserted or updated, and its rounds are replaced. Loading the
    same history again changes nothing but the rounds' internal ids.
    """
    companies = history.companies.select(_COMPANY_COLUMNS)
    rounds = history.rounds.select(_ROUND_COLUMNS)
    fund = {"fund": fund_id}
    conn.execute(_SQL["create_incoming_companies"])
    conn.execute(_SQL["create_incoming_rounds"])
    _copy(conn, "COPY incoming_companies FROM STDIN", companies.iter_rows())
    _copy(conn, "COPY incoming_rounds FROM STDIN", rounds.iter_rows())
    conn.execute(text("ANALYZE incoming_companies, incoming_rounds"))
    inserted = conn.execute(_SQL["upsert_companies"], fund).scalars().all()
    replaced = conn.execute(_SQL["delete_rounds"], fund).rowcount
    loaded = conn.execute(_SQL["insert_rounds"], fund).rowcount
    kept = conn.execute(_SQL["count_not_named"], fund).scalar_one()
    conn.execute(text("DROP TABLE incoming_companies, incoming_rounds"))
    return LoadCounts(
        companies_inserted=sum(inserted),
        companies_updated=len(inserted) - sum(inserted),
        companies_unchanged=companies.height - len(inserted),
        companies_kept=kept,
        rounds_replaced=replaced,
        rounds_loaded=loaded,
    )


def _require_file(what: str, path: Path) -> None:
    if not path.is_file():
        raise BadInput.of(what, str(path), "no such file")


def _copy(conn: Connection, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    driver = conn.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.OperationalError as error:
        # SQLAlchemy, which translates the errors of its own statements, does not see this one.
        raise Unavailable(f"PostgreSQL, while loading: {str(error).strip()}") from error
