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

_CREATE_INCOMING_COMPANIES = text("""
CREATE TEMP TABLE incoming_companies (
  external_id text, name text, sector text, category text, status text, status_date date, founded_on date,
  last_round_on date, unplaced_on date, known_until date
)
""")

_CREATE_INCOMING_ROUNDS = text("""
CREATE TEMP TABLE incoming_rounds (
  external_id text, round_label text, stage text, stage_inferred boolean, investment_date date,
  amount_usd double precision, disposal_date date, disposal_proceeds_usd double precision
)
""")

# In the order of the tables above, which COPY fills by position.
_COMPANY_COLUMNS = (
    *("company_id", "name", "sector", "category", "status", "status_date", "founded_on"),
    *("last_round_on", "unplaced_on", "known_until"),
)
_ROUND_COLUMNS = (
    *("company_id", "round_type", "stage", "stage_inferred", "date"),
    *("amount_usd", "disposal_date", "disposal_proceeds_usd"),
)

_UPSERT_COMPANIES = text("""
INSERT INTO portfolio_companies AS held
  (fund_id, external_id, name, sector, category, status, status_date, founded_on,
   last_round_on, unplaced_on, known_until)
SELECT :fund, external_id, name, sector, category, status, status_date, founded_on,
  last_round_on, unplaced_on, known_until
FROM incoming_companies ORDER BY external_id
ON CONFLICT (fund_id, external_id) DO UPDATE
SET (name, sector, category, status, status_date, founded_on, last_round_on, unplaced_on, known_until) =
  (excluded.name, excluded.sector, excluded.category, excluded.status, excluded.status_date, excluded.founded_on,
   excluded.last_round_on, excluded.unplaced_on, excluded.known_until)
WHERE (held.name, held.sector, held.category, held.status, held.status_date, held.founded_on, held.last_round_on,
   held.unplaced_on, held.known_until) IS DISTINCT FROM
  (excluded.name, excluded.sector, excluded.category, excluded.status, excluded.status_date, excluded.founded_on,
   excluded.last_round_on, excluded.unplaced_on, excluded.known_until)
RETURNING (xmax = 0) AS inserted
""")

_DELETE_ROUNDS = text("""
DELETE FROM investments USING portfolio_companies c JOIN incoming_companies USING (external_id)
WHERE c.fund_id = :fund AND investments.company_id = c.id
""")

_INSERT_ROUNDS = text("""
INSERT INTO investments (company_id, round_label, stage, stage_inferred, investment_date, amount_usd, disposal_date,
  disposal_proceeds_usd)
SELECT c.id, round_label, stage, stage_inferred, investment_date, amount_usd, disposal_date, disposal_proceeds_usd
FROM incoming_rounds JOIN portfolio_companies c USING (external_id)
WHERE c.fund_id = :fund
""")

_COUNT_NOT_NAMED = text("""
SELECT count(*) FROM portfolio_companies c
WHERE fund_id = :fund AND NOT EXISTS (SELECT FROM incoming_companies i WHERE i.external_id = c.external_id)
""")


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
    conn.execute(_CREATE_INCOMING_COMPANIES)
    conn.execute(_CREATE_INCOMING_ROUNDS)
    _copy(conn, "COPY incoming_companies FROM STDIN", companies.iter_rows())
    _copy(conn, "COPY incoming_rounds FROM STDIN", rounds.iter_rows())
    conn.execute(text("ANALYZE incoming_companies, incoming_rounds"))
    inserted = conn.execute(_UPSERT_COMPANIES, fund).scalars().all()
    replaced = conn.execute(_DELETE_ROUNDS, fund).rowcount
    loaded = conn.execute(_INSERT_ROUNDS, fund).rowcount
    kept = conn.execute(_COUNT_NOT_NAMED, fund).scalar_one()
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
