"""Who generates a scenario matrix: one process at a time over all machines.

It is decided under one advisory lock, from `matrix_generations` and PostgreSQL's clock; a generation is fenced by its
lease token. A generation whose lease ran out is abandoned and taken over by the next process that needs the matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, exists, func, update
from sqlalchemy.dialects.postgresql import insert

from db.matrices import MatrixPayload, MatrixReference, read_reference
from db.sql import Statements
from db.tables import matrix_generations as generations
from db.tables import scenario_matrices as matrices
from db.tables.matrices import PAYLOAD_COLUMNS

_SQL = Statements("matrix_generations")

_ADVISORY_LOCK = 0x76636D617478  # "vcmatx"; taken to begin or end a generation in this database


@dataclass(frozen=True, slots=True)
class MatrixVersions:
    """The versions in the canonical key, as columns to find matrices by."""

    sim_model: str
    calibration: str
    key_schema: str = "v1.2"


@dataclass(frozen=True, slots=True)
class GenerationLimits:
    """lease_s: between two signs of life. The two limits count over all keys and machines.

    max_takeovers: how often in a row a key's generation may be abandoned and begun anew before it counts as failed.
    """

    lease_s: float = 45.0
    max_running: int = 2
    per_minute: int = 10
    max_takeovers: int = 3


@dataclass(frozen=True, slots=True)
class Started:
    """The caller generates, and extends its lease. previous_sha256: of the last complete generation of this key."""

    key: str
    generation: int
    lease_token: UUID
    previous_sha256: str | None


@dataclass(frozen=True, slots=True)
class AlreadyComplete:
    reference: MatrixReference


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again soon. generation: the one under way for this key; None when only a limit holds the caller back."""

    reason: str
    generation: int | None


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The generation that the caller waited for has failed, or its key was abandoned too often."""

    reason: str


BeginOutcome = Started | AlreadyComplete | Wait | GaveUp


def generated_for(conn: Connection, reference: MatrixReference) -> UUID | None:
    """The session that this generation was begun for; None when it was for none, or is not on record."""
    session: UUID | None = conn.scalar(
        _SQL["session_of_generation"], {"key": reference.key, "generation": reference.generation}
    )
    return session


def begin_generation(
    conn: Connection,
    key: str,
    key_json: Mapping[str, Any],
    versions: MatrixVersions,
    *,
    session_id: UUID | None,
    limits: GenerationLimits,
    waited_for: int | None = None,
) -> BeginOutcome:
    """Decide who generates. Keep the transaction short: all other callers wait for its end.

    waited_for: the generation that an earlier `Wait` named. If that one failed, so has the caller (`GaveUp`); a caller
    that did not wait for it may generate again, which replaces the whole failed row.
    """
    _take_turns(conn)
    given_up = _abandon_expired(conn, key, limits)
    if given_up is not None:
        return GaveUp(given_up)
    reference = read_reference(conn, key)
    if reference is not None:
        return AlreadyComplete(reference)
    failure = _failure_of(conn, key, waited_for)
    if failure is not None:
        return GaveUp(failure)
    wait = _reason_to_wait(conn, key, limits)
    return wait or _start(conn, key, key_json, versions, session_id=session_id, lease_s=limits.lease_s)


def extend_generation(conn: Connection, started: Started, lease_s: float) -> bool:
    """Renews the lease. False when the generation was taken over or has ended."""
    extended = conn.execute(
        _SQL["extend_generation"],
        {"key": started.key, "generation": started.generation, "token": started.lease_token, "lease_s": lease_s},
    )
    return extended.rowcount == 1


def expire_generation_of(conn: Connection, session_id: UUID) -> bool:
    """Lets another run take over the generation of this session's run, which is known to be gone. False if none."""
    expired = conn.execute(
        _SQL["expire_generation_of_session"],
        {"session": session_id},
    )
    return expired.rowcount > 0


def complete_generation(conn: Connection, started: Started, payload: MatrixPayload) -> bool:
    """generating -> complete, with the whole payload. False, and nothing stored, when it was taken over."""
    values = {name: getattr(payload, name) for name in PAYLOAD_COLUMNS}
    return _finish(
        conn,
        started,
        {"outcome": "complete", "payload_sha256": payload.payload_sha256},
        {"status": "complete", **values},
    )


def fail_generation(conn: Connection, started: Started, reason: str) -> bool:
    """generating -> failed: a failure that another attempt would meet too. False when it was taken over."""
    error = {"error_reason": reason}
    return _finish(conn, started, {"outcome": "failed", **error}, {"status": "failed", **error})


def _take_turns(conn: Connection) -> None:
    """Serializes: until this transaction ends no other begins or ends a generation, so that all reads see one state."""
    conn.execute(_SQL["lock_generations"], {"lock": _ADVISORY_LOCK})


def _abandon_expired(conn: Connection, key: str, limits: GenerationLimits) -> str | None:
    """Close this key's generation if its lease ran out: abandoned, or failed (with the reason) after max_takeovers.

    Only those since the last generation that ended by itself count, so that a later request starts afresh.
    """
    reason: str | None = conn.scalar(
        _SQL["abandon_expired_generation"],
        {"key": key, "max_takeovers": limits.max_takeovers},
    )
    return reason


def _failure_of(conn: Connection, key: str, generation: int | None) -> str | None:
    reason: str | None = conn.scalar(
        _SQL["failure_of_generation"],
        {"key": key, "generation": generation},
    )
    return reason


def _reason_to_wait(conn: Connection, key: str, limits: GenerationLimits) -> Wait | None:
    counts = conn.execute(
        _SQL["count_generations"],
        {"key": key},
    ).one()
    if counts.own is not None:
        return Wait(f"generation {counts.own} of this matrix is under way", counts.own)
    if counts.running >= limits.max_running:
        return Wait(f"{counts.running} matrices are being generated, the most at once", None)
    if counts.recent >= limits.per_minute:
        return Wait(f"{counts.recent} generations began within a minute, the most allowed", None)
    return None


def _start(
    conn: Connection,
    key: str,
    key_json: Mapping[str, Any],
    versions: MatrixVersions,
    *,
    session_id: UUID | None,
    lease_s: float,
) -> Started:
    begun = conn.execute(
        _SQL["start_generation"],
        {"key": key, "session": session_id, "lease_s": lease_s},
    ).one()
    row = insert(matrices).values(
        matrix_key=key,
        matrix_key_json=key_json,
        key_schema_version=versions.key_schema,
        sim_model_version=versions.sim_model,
        calibration_version=versions.calibration,
        generation=begun.generation,
    )
    # Every column anew: whatever a failed or abandoned attempt left is gone.
    replaced = {column.name: row.excluded[column.name] for column in matrices.c if not column.primary_key}
    conn.execute(row.on_conflict_do_update(index_elements=["matrix_key"], set_=replaced))
    return Started(key, begun.generation, begun.lease_token, begun.previous_sha256)


def _finish(
    conn: Connection, started: Started, generation_values: Mapping[str, Any], matrix_values: Mapping[str, Any]
) -> bool:
    """Generation and matrix in one statement, or neither."""
    _take_turns(conn)
    in_the_making = (matrices.c.generation == started.generation, matrices.c.status == "generating")
    finished = (
        update(generations)
        .where(
            generations.c.matrix_key == started.key,
            generations.c.generation == started.generation,
            generations.c.lease_token == started.lease_token,
            generations.c.finished_at.is_(None),
            exists().where(matrices.c.matrix_key == started.key, *in_the_making),
        )
        .values(finished_at=func.now(), **generation_values)
        .returning(generations.c.matrix_key)
        .cte("finished")
    )
    statement = (
        update(matrices)
        .where(matrices.c.matrix_key == finished.c.matrix_key, *in_the_making)
        .values(completed_at=func.now(), **matrix_values)
    )
    return conn.execute(statement).rowcount == 1
