"""A stored matrix that is complete and valid, generated again until it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prefect.logging import get_run_logger
from sqlalchemy import Engine

from core.errors import CorruptMatrix, MatrixFailed
from core.matrix.scenario_matrix import ScenarioMatrix
from db.engine import transaction
from db.matrices import MatrixReference, invalidate, read_reference
from db.matrix_values import load_matrix
from tasks.retries import retry_transient

MATRIX_ATTEMPTS = 3
"""How often in a row a matrix may vanish or be corrupt under its users before that is a failure."""


def ensure_valid_matrix(
    engine: Engine,
    key: str,
    make: Callable[[bool], MatrixReference],
    load: Callable[[MatrixReference], ScenarioMatrix] | None = None,
) -> MatrixReference:
    """What `make` refers to, once it is stored whole. Called within a run.

    make: finds the matrix or generates it; told whether what it named before turned out to be gone or damaged.
    load: raises CorruptMatrix unless it is whole; keeps it for the run, where that goes on to use it.
    Raises MatrixFailed for one that does not stay whole.
    """
    for attempt in range(MATRIX_ATTEMPTS):
        reference = make(attempt > 0)
        try:
            retry_transient(partial(load or partial(load_matrix, engine), reference))
        except CorruptMatrix as error:
            get_run_logger().warning("%s; it is generated again", error)
            retry_transient(partial(_drop_if_damaged, engine, reference))
        else:
            return reference
    raise MatrixFailed(f"matrix {key} does not stay whole")


def _drop_if_damaged(engine: Engine, reference: MatrixReference) -> None:
    """A row that still claims to be this very matrix is the damaged one; any other is somebody's newer generation."""
    with transaction(engine) as conn:
        if read_reference(conn, reference.key) == reference:
            invalidate(conn, reference.key)
