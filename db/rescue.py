"""Sessions whose run was lost: found, and started again at a new epoch.

Three ways to be lost, each read first and then written by one guarded statement, since work may finish in between:

    expired    a run took the session, and its lease ran out
    stray      the outbox row says that a flow run was made, and no run holds the session
    orphaned   there is no outbox row that leads on

A terminal session is never touched, and of two reapers one writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause

from db import outbox
from db.events import record_event
from db.sessions import CANCELLED
from db.sql import Statements
from db.tables.events import EventKind
from db.tables.outbox import JobStatus

_SQL = Statements("rescue")

LOST_TOO_OFTEN = "lost_too_often"
"""The error code of a session whose lease ran out in each of its attempts."""

RESCUE_DELAY_S = 2.0
LONGEST_DELAY_S = 300.0


@dataclass(frozen=True, slots=True)
class LostSession:
    """As it was read. lease_token: of the lease that ran out; None where no run held one.

    flow_run_id: of the run that was last to carry it, or was made to. begun_for_s: since when that run has been seen
    to have begun without taking the session, by the database's clock; None before it was.
    """

    session_id: UUID
    epoch: int
    lease_token: UUID | None
    flow_run_id: UUID | None
    begun_for_s: float | None = None


def expired_sessions(conn: Connection, limit: int) -> list[LostSession]:
    """Longest expired first."""
    return _read(conn, _SQL["expired_sessions"], {"limit": limit})


def stray_sessions(conn: Connection, grace_s: float) -> list[LostSession]:
    """Longest enqueued first. grace_s: a row enqueued within it is left alone, its run may be about to begin.

    All of them, unlike the others: most wait in Prefect for a worker and stay as they are, and must not stand before
    those whose run is gone.
    """
    return _read(conn, _SQL["stray_sessions"], {"grace_s": grace_s})


def orphaned_sessions(conn: Connection, limit: int) -> list[LostSession]:
    """Oldest first."""
    return _read(conn, _SQL["orphaned_sessions"], {"limit": limit})


def rescue(conn: Connection, lost: LostSession, max_epochs: int) -> EventKind | None:
    """A new epoch for an expired session; FAILED instead once it was lost `max_epochs` times. None: no longer lost."""
    assert lost.lease_token is not None
    rescues = conn.scalar(
        _SQL["take_from_lost_run"],
        {"session": lost.session_id, "epoch": lost.epoch, "token": lost.lease_token},
    )
    if rescues is None:
        return None
    # The row is ours until the transaction ends.
    if rescues >= max_epochs:
        reason = f"the process that ran it was lost {rescues} times"
        _fail(conn, lost, LOST_TOO_OFTEN, reason)
        record_event(conn, lost.session_id, lost.epoch, EventKind.GIVEN_UP, reason)
        return EventKind.GIVEN_UP
    _begin_again(conn, lost, _SQL["next_epoch"], EventKind.RESCUED, reason="its lease ran out", delay_s=RESCUE_DELAY_S)
    return EventKind.RESCUED


def restart(conn: Connection, stray: LostSession, reason: str) -> bool:
    """A new epoch for a stray session, at no cost in attempts. False: it has been taken, or has ended."""
    delay_s = growing_delay_s(stray.epoch)
    return _begin_again(conn, stray, _SQL["next_epoch_of_stray"], EventKind.RESTARTED, reason=reason, delay_s=delay_s)


def revive(conn: Connection, orphan: LostSession) -> bool:
    """An outbox row at a new epoch for an orphaned session. False: it is none any more."""
    reason = "it had no outbox row that leads on"
    delay_s = growing_delay_s(orphan.epoch)
    return _begin_again(conn, orphan, _SQL["next_epoch_of_orphan"], EventKind.REVIVED, reason=reason, delay_s=delay_s)


def note_begun(conn: Connection, stray: LostSession) -> None:
    """Remember when its flow run was first seen to have begun without taking the session.

    It stays noted when the run takes the session after all: it counts only while nobody holds a lease, and a run that
    had one and let it go has nothing more to do.
    """
    conn.execute(_SQL["note_begun"], {"session": stray.session_id, "epoch": stray.epoch})


def cancel_lost(conn: Connection, lost: LostSession, reason: str) -> bool:
    """FAILED with code `cancelled`, as its flow run was. False: a run has taken or ended it meanwhile."""
    if not _fail(conn, lost, CANCELLED, reason):
        return False
    record_event(conn, lost.session_id, lost.epoch, EventKind.CANCELLED, reason)
    return True


def _read(conn: Connection, statement: TextClause, values: dict[str, Any]) -> list[LostSession]:
    return [LostSession(*row) for row in conn.execute(statement, values)]


def _fail(conn: Connection, lost: LostSession, error_code: str, reason: str) -> bool:
    """Where the epoch is still the same and no live lease is held."""
    failed = conn.execute(
        _SQL["fail_lost"],
        {"session": lost.session_id, "epoch": lost.epoch, "error_code": error_code, "reason": reason},
    )
    if failed.rowcount != 1:
        return False
    outbox.close_job(conn, lost.session_id, f"session failed with {error_code}: {reason}")
    return True


def _begin_again(
    conn: Connection, lost: LostSession, next_epoch: TextClause, kind: EventKind, *, reason: str, delay_s: float
) -> bool:
    """Epoch + 1 and a pending row, where nobody holds a lease."""
    new_epoch = conn.scalar(next_epoch, {"session": lost.session_id, "epoch": lost.epoch})
    if new_epoch is None:
        return False
    outbox.put_job(conn, lost.session_id, new_epoch, JobStatus.PENDING, delay_s)
    record_event(conn, lost.session_id, lost.epoch, kind, reason)
    return True


def growing_delay_s(epoch: int) -> float:
    """2, 4, 8 ... 300 seconds: what cannot be begun must not be begun again and again at full speed."""
    return min(RESCUE_DELAY_S ** min(epoch + 1, 10), LONGEST_DELAY_S)
