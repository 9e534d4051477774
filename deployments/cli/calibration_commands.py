"""Wires `vcfolio calibrate` to the database."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from db.benchmarks import DEFAULT_BENCHMARK
from db.engine import transaction
from db.settings import load_settings
from deployments.cli import terminal
from deployments.cli.calibrate_command import CalibrateArguments, calibrate, render_calibration
from deployments.services import database


def calibrate_fund(
    *, fund: str, companies: Path, rounds: Path, as_of: date, mapping: Path, version: str, benchmark: str | None
) -> None:
    """Raises BadInput, NotFound or Conflict; then nothing is written."""
    arguments = CalibrateArguments(
        fund=fund,
        companies=companies,
        rounds=rounds,
        mapping=mapping,
        as_of=as_of,
        version=version,
        benchmark=benchmark or DEFAULT_BENCHMARK,
    )
    with terminal.notes.status("reading, checking, loading and counting ..."), database(load_settings()) as engine:
        summary = calibrate(lambda: transaction(engine), arguments)
    render_calibration(summary, terminal.output)
