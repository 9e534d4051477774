"""Small histories written as CSV text, and the mapping that reads them."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from typing import Any

import polars as pl

from core.calibration.history import History, HistorySource, read_history
from core.calibration.mapping import HistoryMapping, parse_mapping

AS_OF = date(2020, 1, 1)
SOURCE = HistorySource("hand-made", "the tests")

MAPPING: dict[str, Any] = {
    "name": "hand-made",
    "source": "the tests",
    "companies": {
        "columns": {
            "company_id": "id",
            "name": "name",
            "category": "category",
            "status": "status",
            "founded_on": "founded",
            "status_date": "ended",
        },
        "status": {"operating": ["alive"], "exited": ["sold", "listed"], "failed": ["dead"]},
    },
    "rounds": {
        "columns": {
            "company_id": "id",
            "round_type": "type",
            "date": "day",
            "amount_usd": "usd",
            "disposal_date": "disposed",
            "disposal_proceeds_usd": "proceeds",
        },
        "stages": {"Seed": ["seed", "angel"], "A": ["a"], "B": ["b"], "C": ["c", "d"]},
        "unknown_stage": ["venture"],
        "set_aside": {"debt": "no equity"},
    },
    "sectors": {"categories": {"Software": ["saas", "games"], "Health": ["biotech"]}, "other": "Other"},
}

COMPANY_COLUMNS = ("id", "name", "category", "status", "founded", "ended")
ROUND_COLUMNS = ("id", "type", "day", "usd", "disposed", "proceeds")


def mapping(**changes: Any) -> HistoryMapping:
    """`MAPPING` with some keys set, e.g. sectors__other=False."""
    document = deepcopy(MAPPING)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = document
        for parent in parents:
            place = place[parent]
        place[last] = value
    return parse_mapping(document)


def table(columns: tuple[str, ...], text: str) -> pl.DataFrame:
    """One row a line, cells apart by blanks; `-` is an empty cell, and what is missing at the end as well."""
    rows = [line.split() for line in text.strip().splitlines() if line.strip()]
    cells = [[None if cell == "-" else cell for cell in row] + [None] * (len(columns) - len(row)) for row in rows]
    return pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.String), orient="row")


def companies(text: str) -> pl.DataFrame:
    """Columns: id, name, category, status, founded, ended."""
    return table(COMPANY_COLUMNS, text)


def rounds(text: str) -> pl.DataFrame:
    """Columns: id, type, day, usd, disposed, proceeds."""
    return table(ROUND_COLUMNS, text)


def read(
    company_rows: pl.DataFrame | str,
    round_rows: pl.DataFrame | str,
    how: HistoryMapping | None = None,
    as_of: date = AS_OF,
) -> History:
    company_table = companies(company_rows) if isinstance(company_rows, str) else company_rows
    round_table = rounds(round_rows) if isinstance(round_rows, str) else round_rows
    return read_history(company_table.lazy(), round_table.lazy(), how or mapping(), as_of)


MAPPING_FILE = """
name = "hand-made"
source = "the tests"
[companies.columns]
company_id = "id"
name = "name"
category = "category"
status = "status"
[companies.status]
operating = ["alive"]
exited = ["sold"]
[rounds]
unknown_stage = ["venture"]
[rounds.columns]
company_id = "id"
round_type = "type"
date = "day"
amount_usd = "usd"
[rounds.stages]
Seed = ["seed"]
A = ["a"]
B = ["b"]
C = ["c"]
[sectors]
other = "Other"
categories = { Software = ["saas"] }
"""
