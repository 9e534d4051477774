"""Scenario matrices as stored: read, and forgotten. How they come to be is in `db.matrix_generations`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from db.sql import Statements
from db.tables import scenario_matrices as matrices
from db.tables.matrices import PAYLOAD_COLUMNS

_SQL = Statements("matrices")


@dataclass(frozen=True, slots=True)
class MatrixReference:
    """What stands for a complete matrix: small, and verified against the row on every use."""

    key: str
    generation: int
    payload_sha256: str


@dataclass(frozen=True, slots=True)
class MatrixPayload:
    """All that a complete matrix consists of.

    moic_matrix: float32, shape (bucket_count, s_opt), laid out and compressed as the next two fields say.
    payload_sha256: of the raw values with shape and keys. bucket_stats: per bucket, its win probability among them.
    """

    moic_matrix: bytes
    matrix_layout: str
    compression_codec: str
    bucket_count: int
    s_opt: int
    payload_sha256: str
    bucket_keys: Sequence[str]
    scenario_states: Sequence[Any]
    bucket_params: Sequence[Any]
    bucket_stats: Sequence[Any]


@dataclass(frozen=True, slots=True)
class StoredMatrix:
    reference: MatrixReference
    key_json: Mapping[str, Any]
    payload: MatrixPayload


def read_reference(conn: Connection, key: str) -> MatrixReference | None:
    """None unless the matrix is complete."""
    row = conn.execute(
        _SQL["read_reference"],
        {"key": key},
    ).one_or_none()
    return None if row is None else MatrixReference(*row)


def load_payload(conn: Connection, key: str) -> StoredMatrix | None:
    """None unless the matrix is complete. Notes the access, at most once a minute."""
    conn.execute(
        _SQL["note_access"],
        {"key": key},
    )
    columns = (matrices.c[name] for name in ("generation", "matrix_key_json", *PAYLOAD_COLUMNS))
    complete = select(*columns).where(matrices.c.matrix_key == key, matrices.c.status == "complete")
    row = conn.execute(complete).mappings().one_or_none()
    if row is None:
        return None
    payload = MatrixPayload(**{name: row[name] for name in PAYLOAD_COLUMNS})
    reference = MatrixReference(key, row["generation"], payload.payload_sha256)
    return StoredMatrix(reference, row["matrix_key_json"], payload)


def invalidate(conn: Connection, key: str) -> bool:
    """Discard a complete or failed matrix; one being generated is left alone. False when there is none."""
    return conn.execute(_SQL["invalidate"], {"key": key}).rowcount == 1
