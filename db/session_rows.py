"""What is stored of a session, and what a run proves its ownership with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from core.session_states import SessionStatus
from db.tables.sessions import Driver, MatrixOrigin

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewSession:
    """What is frozen when a session is created. request_hash: of the validated request, before its defaults.

    session_id: chosen by the caller; None lets the database choose.
    """

    fund_id: UUID
    created_by: UUID
    request: Document
    request_hash: str
    normalized_config: Document
    matrix_key: str
    matrix_key_json: Document
    client_key: str | None = None
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as stored; see `db.tables.sessions` for what must hold in which status."""

    session_id: UUID
    fund_id: UUID
    created_by: UUID
    driver: Driver
    client_key: str | None
    request_hash: str
    request: Document
    normalized_config: Document
    matrix_key: str
    matrix_key_json: Document
    status: SessionStatus
    error_code: str | None
    error_reason: str | None
    epoch: int
    lease_token: UUID | None
    lease_expires_at: datetime | None
    lease_owner: str | None
    unclassified_failures: int
    flow_run_id: UUID | None
    progress: Document | None
    matrix_generation: int | None
    matrix_origin: MatrixOrigin | None
    allocation: list[Any] | None
    solver_metadata: Document | None
    pass1_e_star: float | None
    primary_lock_epsilon: float | None
    validation_metrics: Document | None
    created_at: datetime
    matrix_started_at: datetime | None
    matrix_completed_at: datetime | None
    optimization_started_at: datetime | None
    optimization_completed_at: datetime | None
    validation_started_at: datetime | None
    completed_at: datetime | None
    rescues: int


@dataclass(frozen=True, slots=True)
class SessionState:
    """Which session it is and how it stands, without its documents."""

    session_id: UUID
    status: SessionStatus
    epoch: int
    error_code: str | None
    error_reason: str | None


@dataclass(frozen=True, slots=True)
class CreatedSession:
    """created False: the session of an earlier call with the same client key. lease_token: granted to an inline run."""

    session: SessionState
    created: bool
    lease_token: UUID | None


@dataclass(frozen=True, slots=True)
class Fence:
    """Proof of ownership of a run."""

    session_id: UUID
    epoch: int
    lease_token: UUID
