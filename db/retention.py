"""What is kept for how long. Each call deletes one batch in the caller's transaction; repeat until it returns 0."""

from __future__ import annotations

from sqlalchemy import Connection

from db.fault_points import fault_point
from db.sql import Statements

_SQL = Statements("retention")


def evict_matrices(conn: Connection, *, complete_s: float, failed_s: float, limit: int) -> int:
    """Complete matrices not read for `complete_s` seconds and failed ones that old, longest unread first.

    Never one that an active session or frontier needs, and none that is being generated. An evicted one is
    generated again when it is needed. Returns how many went.
    """
    evicted = conn.execute(
        _SQL["evict_matrices"], {"complete_s": complete_s, "failed_s": failed_s, "limit": limit}
    ).rowcount
    fault_point("cleanup.deleting")
    return evicted


def delete_ended_jobs(conn: Connection, *, ended_s: float, limit: int) -> int:
    """Outbox rows of sessions and frontiers that ended so long ago. Those themselves stay. Returns how many went."""
    return sum(
        conn.execute(statement, {"ended_s": ended_s, "limit": limit}).rowcount
        for statement in (_SQL["delete_ended_jobs"], _SQL["delete_ended_frontier_jobs"])
    )


def delete_unused_points(conn: Connection, *, unused_s: float, limit: int) -> int:
    """Points of frontiers that nobody has needed for so long; they can be solved again. Returns how many went."""
    return conn.execute(_SQL["delete_unused_points"], {"unused_s": unused_s, "limit": limit}).rowcount
