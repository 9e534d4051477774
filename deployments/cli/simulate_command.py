"""`vcfolio simulate`: the scenario matrix of a request as a Parquet file."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from core.errors import BadInput
from core.matrix_key import simulation_inputs
from core.reduction.matrix import reduce_as_asked
from core.simulation.models import model_of
from db.engine import transaction
from db.requests import resolve_request
from db.settings import load_settings
from deployments.cli import terminal
from deployments.cli.request_file import read_request
from deployments.matrix_file import write_matrix
from deployments.services import database


def simulate(request_path: Path, out: Path, seed_key: str | None) -> None:
    """seed_key: seeds the draws instead of the request's own matrix key. Raises BadInput; then nothing is written."""
    request = read_request(request_path)
    if not out.parent.is_dir():
        raise BadInput.of("--out", str(out), "must lie in a directory that exists")
    with database(load_settings()) as engine, transaction(engine) as conn:
        normalized = resolve_request(conn, request)
    inputs = simulation_inputs(normalized.key_document)
    if seed_key is not None:
        inputs = replace(inputs, matrix_key=seed_key)
    matrix = model_of(normalized.config.sim_model_version).generate(inputs)
    matrix = reduce_as_asked(matrix, normalized.key_document)
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        write_matrix(draft, matrix, normalized.config, inputs.matrix_key, normalized.key_document)
        draft.replace(out)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise BadInput.of("--out", str(out), f"cannot be written: {error.strerror}") from error
    terminal.say(f"{out}: {matrix.n_buckets} buckets x {matrix.n_scenarios} scenarios, key {inputs.matrix_key}")
