"""Frontiers whose run was lost: found, and requeued at a new epoch, as `db.rescue` does with sessions.

What a lost run had solved is kept, so the next one begins at the first point that is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from db import outbox
from db.rescue import LOST_TOO_OFTEN, growing_delay_s
from db.sessions import CANCELLED
from db.sql import Statements

_SQL = Statements("frontier_rescue")


@dataclass(frozen=True, slots=True)
class LostFrontier:
    """As it was read. lease_token: of the lease that ran out; None where no run held one.

    has_run: its outbox row says that a flow run was made for this epoch, so that run decides what becomes of it.
    begun_for_s: since when that run has been seen to have begun without taking the frontier; None before it was.
    """

    frontier_id: UUID
    epoch: int
    lease_token: UUID | None
    flow_run_id: UUID | None
    has_run: bool
    begun_for_s: float | None


def lost_frontiers(conn: Connection, grace_s: float) -> list[LostFrontier]:
    """Oldest first: its lease ran out, its flow run has not taken it, or there is no outbox row that leads on.

    grace_s: a row enqueued within it is left alone, its run may be about to begin.
    """
    return [
        LostFrontier(**{**row, "has_run": bool(row["has_run"])})
        for row in conn.execute(_SQL["lost_frontiers"], {"grace_s": grace_s}).mappings()
    ]


def begin_again(conn: Connection, lost: LostFrontier, max_epochs: int) -> bool:
    """A new epoch and a pending outbox row; FAILED instead once its lease ran out `max_epochs` times.

    False: it is not lost any more.
    """
    rescues = conn.scalar(_SQL["begin_again"], _read(lost))
    if rescues is None:
        return False
    if rescues >= max_epochs:
        again = LostFrontier(lost.frontier_id, lost.epoch + 1, None, None, has_run=False, begun_for_s=None)
        return _fail(conn, again, LOST_TOO_OFTEN, f"the process that ran it was lost {rescues} times")
    outbox.put_frontier_job(conn, lost.frontier_id, lost.epoch + 1, growing_delay_s(lost.epoch))
    return True


def cancel_lost_frontier(conn: Connection, lost: LostFrontier, reason: str) -> bool:
    """FAILED with code `cancelled`, as its flow run was. False: a run has taken or ended it meanwhile."""
    return _fail(conn, lost, CANCELLED, reason)


def note_frontier_begun(conn: Connection, lost: LostFrontier) -> None:
    """Remember when its flow run was first seen to have begun without taking the frontier."""
    conn.execute(_SQL["note_frontier_begun"], {"frontier": lost.frontier_id, "epoch": lost.epoch})


def _fail(conn: Connection, lost: LostFrontier, code: str, reason: str) -> bool:
    failed = conn.execute(_SQL["fail_lost_frontier"], {**_read(lost), "code": code, "reason": reason})
    if failed.rowcount != 1:
        return False
    outbox.close_frontier_job(conn, lost.frontier_id, f"frontier failed with {code}: {reason}")
    return True


def _read(lost: LostFrontier) -> dict[str, object]:
    return {"frontier": lost.frontier_id, "epoch": lost.epoch, "token": lost.lease_token}
