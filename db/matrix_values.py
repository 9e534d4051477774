"""Between the matrix that the simulation knows and the row that Postgres keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sqlalchemy import Engine

from core.errors import CorruptMatrix
from core.matrix.codec import EncodedMatrix, decode, encode
from core.matrix.scenario_matrix import ScenarioMatrix, ScenarioState
from core.risk.bucket_stats import bucket_stats
from db.engine import transaction
from db.matrices import MatrixPayload, MatrixReference, load_payload


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


class LoadedMatrix:
    """The stored matrix of one run: loaded and verified once, for all of its stages.

    Not for several threads at once. `drop` makes the next `load` ask the database again.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loaded: tuple[MatrixReference, ScenarioMatrix] | None = None

    def load(self, reference: MatrixReference) -> ScenarioMatrix:
        """The matrix that the reference names. Raises as `load_matrix`, and holds nothing then."""
        if self._loaded is None or self._loaded[0] != reference:
            self._loaded = None  # before the other is loaded: two need not be held at once
            self._loaded = reference, load_matrix(self._engine, reference)
        return self._loaded[1]

    def drop(self) -> None:
        self._loaded = None


def load_matrix(engine: Engine, reference: MatrixReference) -> ScenarioMatrix:
    """The matrix that the reference names, its checksum verified.

    Raises CorruptMatrix when the row is gone, was replaced, or does not decode to what was recorded.
    """
    with transaction(engine) as conn:
        stored = load_payload(conn, reference.key)
    if stored is None or stored.reference != reference:
        raise CorruptMatrix(f"matrix {reference.key} of generation {reference.generation} is not stored any more")
    payload = stored.payload
    encoded = EncodedMatrix(
        payload=payload.moic_matrix,
        codec=payload.compression_codec,
        layout=payload.matrix_layout,
        bucket_count=payload.bucket_count,
        scenario_count=payload.s_opt,
        payload_sha256=payload.payload_sha256,
    )
    chances = np.array([float(entry["win_probability"]) for entry in payload.bucket_stats])
    states = [ScenarioState.from_json(state) for state in payload.scenario_states]
    return decode(encoded, tuple(payload.bucket_keys), chances, states)
