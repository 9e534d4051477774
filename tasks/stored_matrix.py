"""A matrix stored whole, and the columns of its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from prefect.logging import get_run_logger
from sqlalchemy import Engine

from core.bucket_stats import bucket_stats
from core.codec import encode
from core.errors import CorruptMatrix, MatrixFailed
from core.matrix import ScenarioMatrix
from db.engine import transaction
from db.matrices import MatrixPayload, MatrixReference, invalidate, read_reference
from db.matrix_values import load_matrix
from tasks.retries import persevere

MATRIX_ATTEMPTS = 3
"""How often in a row a matrix may vanish or be corrupt under its users before that is a failure."""


def payload_of(matrix: ScenarioMatrix, key_document: Mapping[str, Any]) -> MatrixPayload:
    """All columns of a complete matrix."""
    encoded = encode(matrix)
    return MatrixPayload(
        moic_matrix=encoded.payload,
        matrix_layout=encoded.layout,
        compression_codec=encoded.codec,
        bucket_count=encoded.bucket_count,
        s_opt=encoded.scenario_count,
        payload_sha256=encoded.payload_sha256,
        bucket_keys=list(matrix.bucket_keys),
        scenario_states=[state.as_json() for state in matrix.states],
        bucket_params=key_document["bucket_params"],
        bucket_stats=[
            {
                "win_probability": stats.win_probability,
                "mean": stats.mean,
                "standard_error": stats.standard_error,
                "median": stats.median,
                "p90": stats.p90,
                "loss_share": stats.loss_share,
            }
            for stats in bucket_stats(matrix)
        ],
    )


def whole_matrix(engine: Engine, key: str, make: Callable[[bool], MatrixReference]) -> MatrixReference:
    """What `make` refers to, once it is stored whole. Called within a run.

    make: finds the matrix or generates it; told whether what it named before turned out to be gone or damaged.
    Raises MatrixFailed for one that does not stay whole.
    """
    for attempt in range(MATRIX_ATTEMPTS):
        reference = make(attempt > 0)
        try:
            persevere(partial(load_matrix, engine, reference))
        except CorruptMatrix as error:
            get_run_logger().warning("%s; it is generated anew", error)
            persevere(partial(_drop_if_damaged, engine, reference))
        else:
            return reference
    raise MatrixFailed(f"matrix {key} does not stay whole")


def _drop_if_damaged(engine: Engine, reference: MatrixReference) -> None:
    """A row that still claims to be this very matrix is the damaged one; any other is somebody's newer generation."""
    with transaction(engine) as conn:
        if read_reference(conn, reference.key) == reference:
            invalidate(conn, reference.key)
