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

from sqlalchemy import Connection, bindparam, text

from core.canonical import canonical_json, sha256_hex
from core.errors import NotFound
from core.frontier.variation import Variation
from db import outbox
from db.sessions import CANCELLED
from db.tables.base import Json
from db.tables.frontiers import FrontierStatus
from db.tables.sessions import ACTIVE

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


_COLUMNS = """
  frontier_id, session_id, created_by, vary, request, matrix_key, status, error_code, error_reason, epoch, lease_token,
  solved, document, created_at, completed_at
"""

_NO_LEASE = "lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL"

_HELD = f"frontier_id = :frontier AND epoch = :epoch AND lease_token = :token AND {ACTIVE}"

# One that failed is asked for again under a new epoch; any other is the one that there is.
_SUBMIT = text(f"""
    INSERT INTO frontier_jobs AS f (session_id, created_by, vary, vary_hash, request, matrix_key)
    VALUES (:session_id, :created_by, :vary, :vary_hash, :request, :matrix_key)
    ON CONFLICT (session_id, vary_hash) DO UPDATE SET
      status = 'REQUESTED', epoch = f.epoch + 1, created_by = excluded.created_by, request = excluded.request,
      error_code = NULL, error_reason = NULL, completed_at = NULL, solved = 0, rescues = 0, flow_run_id = NULL
      WHERE f.status = 'FAILED'
    RETURNING {_COLUMNS}
""").bindparams(bindparam("vary", type_=Json), bindparam("request", type_=Json))  # noqa: S608 - constants


def submit(conn: Connection, new: NewFrontier) -> tuple[FrontierRow, bool]:
    """The frontier and whether this call has begun it, with a pending outbox row for the bridge.

    Not begun where it is stored already, waiting, solving or completed: however many ask at once, it is one job.
    """
    inserted = (
        conn.execute(
            _SUBMIT,
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
        conn.execute(
            text(f"SELECT {_COLUMNS} FROM frontier_jobs WHERE session_id = :session AND vary_hash = :hash"),  # noqa: S608
            {"session": session_id, "hash": _vary_hash(variation)},
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else _row(row)


def load_frontier(conn: Connection, frontier_id: UUID) -> FrontierRow:
    """Raises NotFound."""
    row = (
        conn.execute(
            text(f"SELECT {_COLUMNS} FROM frontier_jobs WHERE frontier_id = :frontier"),  # noqa: S608
            {"frontier": frontier_id},
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFound.of("frontier", str(frontier_id), "no frontier has this id")
    return _row(row)


def count_waiting_frontiers(conn: Connection, at_most: int) -> int:
    """Frontiers that no run has begun yet, counted up to `at_most`."""
    counted: int = conn.execute(
        text(f"""
            SELECT count(*) FROM (
              SELECT FROM frontier_jobs WHERE {ACTIVE} AND status = 'REQUESTED' LIMIT :most
            ) AS waiting
        """),  # noqa: S608
        {"most": at_most},
    ).scalar_one()
    return counted


def take_frontier(conn: Connection, frontier_id: UUID, epoch: int, lease_s: float, owner: str) -> FrontierFence | None:
    """-> SOLVING, under a fresh lease. None when the epoch is over, it has ended, or a live lease is held."""
    token: UUID | None = conn.scalar(
        text(f"""
            UPDATE frontier_jobs
            SET status = 'SOLVING', started_at = coalesce(started_at, now()), solved = 0, lease_owner = :owner,
                lease_token = gen_random_uuid(), lease_expires_at = now() + make_interval(secs => :lease_s)
            WHERE frontier_id = :frontier AND epoch = :epoch AND {ACTIVE}
              AND (lease_expires_at IS NULL OR lease_expires_at <= now())
            RETURNING lease_token
        """),  # noqa: S608
        {"frontier": frontier_id, "epoch": epoch, "lease_s": lease_s, "owner": owner},
    )
    return None if token is None else FrontierFence(frontier_id, epoch, token)


def extend_frontier_lease(conn: Connection, fence: FrontierFence, lease_s: float) -> bool:
    """Heartbeat."""
    return _write(conn, fence, "lease_expires_at = now() + make_interval(secs => :lease_s)", {"lease_s": lease_s})


def record_frontier_run(conn: Connection, fence: FrontierFence, flow_run_id: UUID) -> bool:
    """Note which flow run solves it."""
    return _write(conn, fence, "flow_run_id = :run", {"run": flow_run_id})


def release_frontier(conn: Connection, fence: FrontierFence) -> bool:
    """Let the next run take it at once."""
    return _write(conn, fence, _NO_LEASE, {})


def count_point(conn: Connection, fence: FrontierFence) -> bool:
    """One more point is solved, or was found among those that are."""
    return _write(conn, fence, "solved = solved + 1", {})


def complete_frontier(conn: Connection, fence: FrontierFence, document: Document) -> bool:
    """SOLVING -> COMPLETED. document: of the whole frontier."""
    return _write(
        conn,
        fence,
        f"status = 'COMPLETED', document = :document, completed_at = now(), {_NO_LEASE}",
        {"document": document},
    )


def fail_frontier(conn: Connection, fence: FrontierFence, error_code: str, error_reason: str) -> bool:
    """-> FAILED."""
    return _write(conn, fence, f"{_FAILED}, {_NO_LEASE}", {"code": error_code, "reason": error_reason})


_FAILED = "status = 'FAILED', error_code = :code, error_reason = :reason, completed_at = now()"


def cancel_frontier(conn: Connection, frontier_id: UUID, reason: str) -> bool:
    """-> FAILED with code `cancelled`, and no flow run for it any more. False when it has ended or does not exist."""
    cancelled = conn.execute(
        text(f"UPDATE frontier_jobs SET {_FAILED}, {_NO_LEASE} WHERE frontier_id = :frontier AND {ACTIVE}"),  # noqa: S608
        {"frontier": frontier_id, "code": CANCELLED, "reason": reason},
    )
    if cancelled.rowcount != 1:
        return False
    outbox.close_frontier_job(conn, frontier_id, f"frontier cancelled: {reason}")
    return True


FRONTIER_OF_RUN = f"""
SELECT f.frontier_id FROM frontier_jobs f LEFT JOIN job_outbox o USING (frontier_id)
WHERE f.{ACTIVE} AND coalesce(f.flow_run_id, o.flow_run_id) = :run
FOR UPDATE OF f
"""  # noqa: S608 - constants


def cancel_frontier_of_run(conn: Connection, flow_run_id: UUID, reason: str) -> UUID | None:
    """Cancel the frontier that this flow run solves or was made to; None when there is none that has not ended."""
    frontier_id: UUID | None = conn.scalar(text(FRONTIER_OF_RUN), {"run": flow_run_id})
    if frontier_id is not None:
        cancel_frontier(conn, frontier_id, reason)
    return frontier_id


def find_point(conn: Connection, point_key: str) -> Document | None:
    """A point that was solved before, noted as used; None for one that was not."""
    point: Document | None = conn.scalar(
        text("UPDATE frontier_points SET last_used_at = now() WHERE point_key = :key RETURNING point"),
        {"key": point_key},
    )
    return point


def store_point(conn: Connection, point_key: str, matrix_key: str, value: float, point: Document) -> None:
    """Keep a solved point for whoever needs it next; the first that is stored stays."""
    conn.execute(
        text("""
            INSERT INTO frontier_points (point_key, matrix_key, value, point) VALUES (:key, :matrix, :value, :point)
            ON CONFLICT (point_key) DO NOTHING
        """).bindparams(bindparam("point", type_=Json)),
        {"key": point_key, "matrix": matrix_key, "value": value, "point": point},
    )


def _write(conn: Connection, fence: FrontierFence, change: str, values: dict[str, Any]) -> bool:
    """One guarded update; change: words of this module."""
    statement = text(f"UPDATE frontier_jobs SET {change} WHERE {_HELD}")  # noqa: S608
    if "document" in values:
        statement = statement.bindparams(bindparam("document", type_=Json))
    held = {"frontier": fence.frontier_id, "epoch": fence.epoch, "token": fence.lease_token}
    return conn.execute(statement, {**held, **values}).rowcount == 1


def _vary(variation: Variation) -> dict[str, Any]:
    return {"field": variation.field, "values": list(variation.values)}


def _vary_hash(variation: Variation) -> str:
    return sha256_hex(canonical_json(_vary(variation)))


def _row(row: Mapping[Any, Any]) -> FrontierRow:
    fields = dict(row)
    vary = fields.pop("vary")
    variation = Variation(vary["field"], tuple(float(value) for value in vary["values"]))
    return FrontierRow(variation=variation, **{**fields, "status": FrontierStatus(fields["status"])})
