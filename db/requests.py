"""What people ask for: sessions, their end, and matrices to be forgotten. Each leaves its entry in the audit.

The single entry point, for the command line, the API and Prefect's form alike.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, Engine, select

from core.errors import BadInput, NotFound, TooManyWaiting
from core.request import OptimizationRequest, request_hash
from core.request.normalize import NormalizedRequest, normalize
from db import matrices, sessions
from db.audit import Actor, record
from db.calibrations import list_snapshots, newest_version, usable_snapshot
from db.engine import transaction
from db.fault_points import fault_point
from db.funds import find_fund
from db.queue import count_waiting
from db.session_rows import CreatedSession, NewSession
from db.sessions import create_session
from db.settings import Settings
from db.sql import Statements
from db.tables import optimization_sessions as rows
from db.tables.access import Action
from db.tables.sessions import Driver

_SQL = Statements("requests")


def resolve_request(conn: Connection, request: OptimizationRequest) -> NormalizedRequest:
    """The request with its calibration found and every default resolved.

    Raises BadInput (NotFound) naming what is wrong; nothing is written.
    """
    fund = request.fund_id
    version = request.calibration_version or newest_version(conn, fund)
    if version is None:
        _require_fund(conn, fund)
        known = ", ".join(summary.version for summary in list_snapshots(conn, None))
        raise BadInput.of(
            "calibrationVersion",
            None,
            f"the fund has no calibration of its own; make one with `vcfolio calibrate`, or name a "
            f"reference calibration ({known})",
        )
    snapshot = usable_snapshot(conn, version, fund)
    if snapshot is None:
        _require_fund(conn, fund)
        usable = sorted(summary.version for summary in list_snapshots(conn, fund))
        raise NotFound.of("calibrationVersion", version, f"must be one of the fund's: {', '.join(usable)}")
    return normalize(request, snapshot)


def request_session(
    engine: Engine,
    settings: Settings,
    request: OptimizationRequest,
    *,
    created_by: UUID,
    credential: str,
    client_key: str | None,
) -> CreatedSession:
    """Store a session for the bridge to start, in a transaction of its own.

    Safe to repeat with the same client key after an answer that was lost. Raises TooManyWaiting, and what
    `submit_request` raises; nothing is stored then.
    """
    with transaction(engine) as conn:
        created = submit_request(
            conn, request, created_by=created_by, credential=credential, driver="bridge", client_key=client_key
        )
        if created.created:
            # This one is among those counted; the first session of a repeated request is not refused now.
            waiting = count_waiting(conn, settings.max_waiting_sessions + 1)
            if waiting > settings.max_waiting_sessions:
                raise TooManyWaiting(waiting - 1, settings.retry_after_s)
        fault_point("create.before_commit")
    fault_point("create.after_commit")
    return created


def submit_request(
    conn: Connection,
    request: OptimizationRequest,
    *,
    created_by: UUID,
    credential: str,
    driver: Driver,
    client_key: str | None = None,
    lease_s: float | None = None,
    lease_owner: str | None = None,
    session_id: UUID | None = None,
    resolved: NormalizedRequest | None = None,
) -> CreatedSession:
    """Session and outbox row, in the caller's transaction; see `create_session` for driver, lease and client key.

    credential: how `created_by` authenticated, for the audit. resolved: what `resolve_request` made of this very
    request; None: it is resolved here.
    """
    normalized = resolve_request(conn, request) if resolved is None else resolved
    new = NewSession(
        fund_id=request.fund_id,
        created_by=created_by,
        request=request.model_dump(mode="json", by_alias=True, exclude_unset=True),
        request_hash=request_hash(request),
        normalized_config=normalized.config.model_dump(mode="json"),
        matrix_key=normalized.matrix_key,
        matrix_key_json=normalized.key_document,
        client_key=client_key,
        session_id=session_id,
    )
    created = create_session(conn, new, driver, lease_s, lease_owner)
    if created.created:
        session_id, actor = created.session.session_id, Actor(created_by, credential)
        record(conn, actor, Action.SESSION_REQUESTED, session_id=session_id, fund_id=request.fund_id)
    return created


def cancel_session(conn: Connection, session_id: UUID, reason: str, actor: Actor) -> bool:
    """See `db.sessions.cancel`. False when it has ended or does not exist."""
    cancelled = sessions.cancel(conn, session_id, reason)
    if cancelled:
        fund_id = conn.scalar(select(rows.c.fund_id).where(rows.c.session_id == session_id))
        record(conn, actor, Action.SESSION_CANCELLED, session_id=session_id, fund_id=fund_id, detail=reason)
    return cancelled


def cancel_session_of_run(conn: Connection, flow_run_id: UUID, reason: str, actor: Actor) -> UUID | None:
    """Cancel the session that this flow run carries or was made to; None when there is none that has not ended.

    A session that goes on in another run is not this one's any more. One that was asked for in Prefect's form bears its
    run's id, and so is found before the run has noted it.
    """
    session_id: UUID | None = conn.scalar(_SQL["session_of_run"], {"run": flow_run_id})
    if session_id is not None:
        cancel_session(conn, session_id, reason, actor)
    return session_id


def invalidate_matrix(conn: Connection, key: str, actor: Actor) -> bool:
    """Forget a matrix; see `db.matrices.invalidate`. False when no complete or failed one has this key."""
    forgotten = matrices.invalidate(conn, key)
    if forgotten:
        record(conn, actor, Action.MATRIX_INVALIDATED, matrix_key=key)
    return forgotten


def _require_fund(conn: Connection, fund_id: UUID) -> None:
    try:
        find_fund(conn, fund_id)
    except NotFound:
        raise NotFound.of("fundId", str(fund_id), "no fund has this id; see `vcfolio fund list`") from None
