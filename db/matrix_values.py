"""Between the matrix that the simulation knows and the row that Postgres keeps."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Engine

from core.codec import EncodedMatrix, decode
from core.errors import CorruptMatrix
from core.matrix import ScenarioMatrix, ScenarioState
from db.engine import transaction
from db.matrices import MatrixReference, load_payload


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
