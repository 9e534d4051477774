"""What was read of a funding history, for people."""

from __future__ import annotations

from rich.table import Table as RichTable

from core.calibration.tables import Table
from db.history import LoadCounts


def rich_table(table: Table) -> RichTable:
    rich = RichTable(*table.head, title=table.title, title_justify="left")
    for column in rich.columns[table.labels :]:
        column.justify = "right"
    for row in table.rows:
        rich.add_row(*row)
    return rich


def load_line(loaded: LoadCounts) -> str:
    return (
        f"Loaded: {loaded.companies_inserted:,} companies new, {loaded.companies_updated:,} changed, "
        f"{loaded.companies_unchanged:,} as they were, {loaded.companies_kept:,} not in the file and kept; "
        f"{loaded.rounds_loaded:,} rounds in place of {loaded.rounds_replaced:,}."
    )
