"""Frontiers as stored jobs: asked for once, solved by one run at a time, its points kept for whoever needs them next.

Every write of a run carries its `FrontierFence`; a False means that nothing was written, because another run has the
frontier or it has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Connection, TextClause, bindparam

from core.canonical import canonical_json, sha256_hex
from core.errors import NotFound
from core.frontier.variation import Variation
from db import outbox
from db.sessions import CANCELLED
from db.sql import Statements
from db.tables.base import Json
from db.tables.frontiers import FrontierStatus

_SQL = Statements("frontiers")

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewFrontier:
    """request: of the session, its calibration named; matrix_key: of the session, which all points share."""

    session_id: UUID
    created_by: UUID
    variation: Variation
    request: Document
    matrix_key: str


@dataclass(frozen=True, slots=True)
class FrontierRow:
    """A frontier as stored; see `db.tables.frontiers`. solved: points that the latest run has so far."""

    frontier_id: UUID
    session_id: UUID
    created_by: UUID
    variation: Variation
    request: Document
    matrix_key: str
    status: FrontierStatus
    error_code: str | None
    error_reason: str | None
    epoch: int
    lease_token: UUID | None
    solved: int
    document: Document | None
    created_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class FrontierFence:
    """What a run proves its ownership with."""

    frontier_id: UUID
    epoch: int
    lease_token: UUID


def submit(conn: Connection, new: NewFrontier) -> tuple[FrontierRow, bool]:
    """The frontier and whether this call has begun it, with a pending outbox row for the bridge.

    Not begun where it is stored already, waiting, solving or completed: however many ask at once, it is one job.
    """
    inserted = (
        conn.execute(
            _SQL["submit_frontier"].bindparams(_json("vary"), _json("request")),
            {
                "session_id": new.session_id,
                "created_by": new.created_by,
                "vary": _vary(new.variation),
                "vary_hash": _vary_hash(new.variation),
                "request": new.request,
                "matrix_key": new.matrix_key,
            },
        )
        .mappings()
        .one_or_none()
    )
    if inserted is None:
        known = find_frontier(conn, new.session_id, new.variation)
        assert known is not None
        return known, False
    frontier = _row(inserted)
    outbox.put_frontier_job(conn, frontier.frontier_id, frontier.epoch)
    return frontier, True


def find_frontier(conn: Connection, session_id: UUID, variation: Variation) -> FrontierRow | None:
    """None for one that nobody has asked for."""
    row = (
        conn.execute(_SQL["find_frontier"], {"session": session_id, "hash": _vary_hash(variation)})
        .mappings()
        .one_or_none()
    )
    return None if row is None else _row(row)


def load_frontier(conn: Connection, frontier_id: UUID) -> FrontierRow:
    """Raises NotFound."""
    row = conn.execute(_SQL["load_frontier"], {"frontier": frontier_id}).mappings().one_or_none()
    if row is None:
        raise NotFound.of("frontier", str(frontier_id), "no frontier has this id")
    return _row(row)


def count_waiting_frontiers(conn: Connection, at_most: int) -> int:
    """Frontiers that no run has begun yet, counted up to `at_most`."""
    counted: int = conn.execute(_SQL["count_waiting_frontiers"], {"most": at_most}).scalar_one()
    return counted


def take_frontier(conn: Connection, frontier_id: UUID, epoch: int, lease_s: float, owner: str) -> FrontierFence | None:
    """-> SOLVING, under a new lease. None when the epoch is over, it has ended, or a live lease is held."""
    token: UUID | None = conn.scalar(
        _SQL["take_frontier"],
        {"frontier": frontier_id, "epoch": epoch, "lease_s": lease_s, "owner": owner},
    )
    return None if token is None else FrontierFence(frontier_id, epoch, token)


def extend_frontier_lease(conn: Connection, fence: FrontierFence, lease_s: float) -> bool:
    """Heartbeat."""
    return _write(conn, fence, _SQL["extend_frontier_lease"], {"lease_s": lease_s})


def record_frontier_run(conn: Connection, fence: FrontierFence, flow_run_id: UUID) -> bool:
    """Note which flow run solves it."""
    return _write(conn, fence, _SQL["record_frontier_run"], {"run": flow_run_id})


def release_frontier(conn: Connection, fence: FrontierFence) -> bool:
    """Let the next run take it at once."""
    return _write(conn, fence, _SQL["release_frontier"], {})


def count_point(conn: Connection, fence: FrontierFence) -> bool:
    """One more point is solved, or was found among those that are."""
    return _write(conn, fence, _SQL["count_point"], {})


def complete_frontier(conn: Connection, fence: FrontierFence, document: Document) -> bool:
    """SOLVING -> COMPLETED. document: of the whole frontier."""
    return _write(conn, fence, _SQL["complete_frontier"].bindparams(_json("document")), {"document": document})


def fail_frontier(conn: Connection, fence: FrontierFence, error_code: str, error_reason: str) -> bool:
    """-> FAILED."""
    return _write(conn, fence, _SQL["fail_frontier"], {"code": error_code, "reason": error_reason})


def cancel_frontier(conn: Connection, frontier_id: UUID, reason: str) -> bool:
    """-> FAILED with code `cancelled`, and no flow run for it any more. False when it has ended or does not exist."""
    cancelled = conn.execute(_SQL["cancel_frontier"], {"frontier": frontier_id, "code": CANCELLED, "reason": reason})
    if cancelled.rowcount != 1:
        return False
    outbox.close_frontier_job(conn, frontier_id, f"frontier cancelled: {reason}")
    return True


def cancel_frontier_of_run(conn: Connection, flow_run_id: UUID, reason: str) -> UUID | None:
    """Cancel the frontier that this flow run solves or was made to; None when there is none that has not ended."""
    frontier_id: UUID | None = conn.scalar(_SQL["frontier_of_run"], {"run": flow_run_id})
    if frontier_id is not None:
        cancel_frontier(conn, frontier_id, reason)
    return frontier_id


def find_point(conn: Connection, point_key: str) -> Document | None:
    """A point that was solved before, noted as used; None for one that was not."""
    point: Document | None = conn.scalar(_SQL["find_point"], {"key": point_key})
    return point


def store_point(conn: Connection, point_key: str, matrix_key: str, value: float, point: Document) -> None:
    """Keep a solved point for whoever needs it next; the first that is stored stays."""
    conn.execute(
        _SQL["store_point"].bindparams(_json("point")),
        {"key": point_key, "matrix": matrix_key, "value": value, "point": point},
    )


def _write(conn: Connection, fence: FrontierFence, statement: TextClause, values: dict[str, Any]) -> bool:
    """One update, guarded by the fence; False when it found nothing to change."""
    held = {"frontier": fence.frontier_id, "epoch": fence.epoch, "token": fence.lease_token}
    return conn.execute(statement, {**held, **values}).rowcount == 1


def _json(name: str) -> BindParameter[Any]:
    return bindparam(name, type_=Json)


def _vary(variation: Variation) -> dict[str, Any]:
    return {"field": variation.field, "values": list(variation.values)}


def _vary_hash(variation: Variation) -> str:
    return sha256_hex(canonical_json(_vary(variation)))


def _row(row: Mapping[Any, Any]) -> FrontierRow:
    fields = dict(row)
    vary = fields.pop("vary")
    variation = Variation(vary["field"], tuple(float(value) for value in vary["values"]))
    return FrontierRow(variation=variation, **{**fields, "status": FrontierStatus(fields["status"])})
