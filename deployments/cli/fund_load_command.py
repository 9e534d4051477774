"""`vcfolio fund load`: a funding history into the fund's rows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from core.calibration.tables import rows_table
from db.calibrate import HistoryFiles, load_files
from db.engine import transaction
from db.settings import load_settings
from deployments.cli import terminal
from deployments.cli.arguments import FundReference
from deployments.cli.history_view import load_line, rich_table
from deployments.local.services import database


def load(
    fund: FundReference,
    *,
    companies: Annotated[Path, typer.Option(help="Companies, CSV or Parquet.")],
    rounds: Annotated[Path, typer.Option(help="Financing rounds, CSV or Parquet.")],
    as_of: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day the history was taken.")],
    mapping: Annotated[Path, typer.Option(help="What the files' columns and values mean, TOML.")],
) -> None:
    """Raises BadInput or NotFound; then nothing is written."""
    files = HistoryFiles(companies, rounds, mapping)
    with terminal.notes.status("reading, checking and loading ..."), database(load_settings()) as engine:
        loaded_into, history, loaded = load_files(lambda: transaction(engine), fund, files, as_of.date())
    for title, rows in (("Companies", history.company_rows), ("Rounds", history.round_rows)):
        terminal.output.print(rich_table(rows_table(title, rows)))
    terminal.output.print(f"{loaded_into.name}: {load_line(loaded)}", markup=False, highlight=False)
