"""Stored matrices as people read about them: without their values, only those that a fund of theirs has asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text


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


_COLUMNS = """
    SELECT x.matrix_key, x.status, x.sim_model_version, x.calibration_version, x.generation, x.error_reason,
           x.bucket_count, x.s_opt, x.payload_sha256, octet_length(x.moic_matrix) AS bytes_stored, x.created_at,
           x.completed_at, x.last_accessed_at, x.bucket_keys, x.bucket_stats,
           x.matrix_key_json
    FROM scenario_matrices x
    WHERE EXISTS (
      SELECT FROM optimization_sessions s JOIN fund_members m USING (fund_id)
      WHERE s.matrix_key = x.matrix_key AND m.user_id = :user
    )
"""


def find_matrix(conn: Connection, key: str, user_id: UUID) -> MatrixView | None:
    """None for an unknown key, and for a matrix that no session of the user's funds needs or needed."""
    row = conn.execute(text(_COLUMNS + " AND x.matrix_key = :key"), {"user": user_id, "key": key})
    found = row.mappings().one_or_none()
    return None if found is None else MatrixView(**found)


def list_matrices(conn: Connection, user_id: UUID, *, limit: int) -> list[MatrixView]:
    """Those read last come first."""
    rows = conn.execute(
        text(_COLUMNS + " ORDER BY x.last_accessed_at DESC, x.matrix_key LIMIT :limit"),
        {"user": user_id, "limit": limit},
    )
    return [MatrixView(**row) for row in rows.mappings()]
