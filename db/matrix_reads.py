"""Stored matrices as people read about them: without their values, only those that a fund of theirs has asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from db.sql import Statements

_SQL = Statements("matrix_reads")


@dataclass(frozen=True, slots=True)
class MatrixView:
    """What is null before a matrix is complete is None. bytes_stored: of the compressed values.

    bucket_stats: of each bucket, in the order of the keys.
    """

    matrix_key: str
    status: str
    sim_model_version: str
    calibration_version: str
    generation: int
    error_reason: str | None
    bucket_count: int | None
    s_opt: int | None
    payload_sha256: str | None
    bytes_stored: int | None
    created_at: datetime
    completed_at: datetime | None
    last_accessed_at: datetime
    bucket_keys: Sequence[str] | None
    bucket_stats: Sequence[Mapping[str, Any]] | None
    matrix_key_json: Mapping[str, Any]


def find_matrix(conn: Connection, key: str, user_id: UUID) -> MatrixView | None:
    """None for an unknown key, and for a matrix that no session of the user's funds needs or needed."""
    row = conn.execute(_SQL["find_matrix"], {"user": user_id, "key": key})
    found = row.mappings().one_or_none()
    return None if found is None else MatrixView(**found)


def list_matrices(conn: Connection, user_id: UUID, *, limit: int) -> list[MatrixView]:
    """Those read last come first."""
    rows = conn.execute(
        _SQL["list_matrices"],
        {"user": user_id, "limit": limit},
    )
    return [MatrixView(**row) for row in rows.mappings()]
