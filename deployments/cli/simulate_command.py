"""`vcfolio simulate`: the scenario matrix of a request as a Parquet file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from core.matrix.key import simulation_inputs
from core.matrix.reduction.matrix import reduce_as_asked
from core.matrix.scenario_matrix import ScenarioMatrix
from core.result.build import bucket_figures_of
from core.risk.bucket_stats import bucket_stats
from core.simulation.models import model_of
from db.engine import transaction
from db.requests import resolve_request
from db.settings import load_settings
from deployments.cli import terminal
from deployments.cli.arguments import RequestFile
from deployments.cli.output_file import require_directory, write_whole
from deployments.cli.request_file import read_request
from deployments.cli.result_view import BUCKET_COLUMNS, bucket_cells
from deployments.local.services import database
from deployments.matrix_file import write_matrix


def simulate(
    request: RequestFile,
    out: Annotated[Path, typer.Option(help="Parquet file to write, one row a bucket.")],
    matrix_key: Annotated[str | None, typer.Option(help="Seed the draws with this key instead of the own.")] = None,
) -> None:
    """Raises BadInput; then nothing is written."""
    parsed = read_request(request)
    require_directory(out, "--out")
    with database(load_settings()) as engine, transaction(engine) as conn:
        normalized = resolve_request(conn, parsed)
    inputs = simulation_inputs(normalized.key_document)
    if matrix_key is not None:
        inputs = replace(inputs, matrix_key=matrix_key)
    matrix = model_of(normalized.config.sim_model_version).generate(inputs)
    matrix = reduce_as_asked(matrix, normalized.key_document)
    document = normalized.key_document
    write_whole(out, "--out", lambda draft: write_matrix(draft, matrix, normalized.config, inputs.matrix_key, document))
    terminal.output.print(_stats_table(matrix))
    terminal.say(f"{out}: {matrix.n_buckets} buckets x {matrix.n_scenarios} scenarios, key {inputs.matrix_key}")


def _stats_table(matrix: ScenarioMatrix) -> Table:
    title = f"Buckets in {matrix.n_scenarios:,} scenarios (± standard error)"
    table = Table(title=title, title_justify="left")
    table.add_column("bucket")
    for name in BUCKET_COLUMNS:
        table.add_column(name, justify="right")
    for stats in bucket_stats(matrix):
        table.add_row(stats.bucket_id, *bucket_cells(bucket_figures_of(stats)))
    return table
