"""What is kept for how long. Each call deletes one batch in the caller's transaction; repeat until it returns 0."""

from __future__ import annotations

from sqlalchemy import Connection, text

from db.fault_points import fault_point
from db.tables.sessions import ACTIVE

EVICT_MATRICES = f"""
WITH old AS (
  SELECT matrix_key FROM scenario_matrices m
  WHERE (
      (status = 'complete' AND last_accessed_at < now() - make_interval(secs => :complete_s))
      OR (status = 'failed' AND completed_at < now() - make_interval(secs => :failed_s))
    )
    AND NOT EXISTS (
      SELECT FROM optimization_sessions s
      WHERE s.matrix_key = m.matrix_key AND s.{ACTIVE}
    )
    AND NOT EXISTS (
      SELECT FROM frontier_jobs f
      WHERE f.matrix_key = m.matrix_key AND f.{ACTIVE}
    )
  ORDER BY last_accessed_at LIMIT :limit
  FOR UPDATE SKIP LOCKED
)
DELETE FROM scenario_matrices m USING old WHERE m.matrix_key = old.matrix_key
"""  # noqa: S608 - constants

DELETE_ENDED_JOBS = """
WITH old AS (
  SELECT o.job_id FROM job_outbox o JOIN optimization_sessions s USING (session_id)
  -- Older than its session's end, a row is found by its own age; the sessions whose rows went long ago are not read.
  WHERE o.created_at < now() - make_interval(secs => :ended_s)
    AND s.completed_at < now() - make_interval(secs => :ended_s)
  ORDER BY o.created_at LIMIT :limit
  FOR UPDATE OF o SKIP LOCKED
)
DELETE FROM job_outbox o USING old WHERE o.job_id = old.job_id
"""

DELETE_ENDED_FRONTIER_JOBS = """
WITH old AS (
  SELECT o.job_id FROM job_outbox o JOIN frontier_jobs f USING (frontier_id)
  WHERE o.created_at < now() - make_interval(secs => :ended_s)
    AND f.completed_at < now() - make_interval(secs => :ended_s)
  ORDER BY o.created_at LIMIT :limit
  FOR UPDATE OF o SKIP LOCKED
)
DELETE FROM job_outbox o USING old WHERE o.job_id = old.job_id
"""

DELETE_UNUSED_POINTS = """
DELETE FROM frontier_points WHERE point_key IN (
  SELECT point_key FROM frontier_points WHERE last_used_at < now() - make_interval(secs => :unused_s)
  ORDER BY last_used_at LIMIT :limit
  FOR UPDATE SKIP LOCKED
)
"""


def evict_matrices(conn: Connection, *, complete_s: float, failed_s: float, limit: int) -> int:
    """Complete matrices not read for `complete_s` seconds and failed ones that old, longest unread first.

    Never one that an active session or frontier needs, and none that is being generated. An evicted one is
    generated again when it is needed. Returns how many went.
    """
    evicted = conn.execute(
        text(EVICT_MATRICES), {"complete_s": complete_s, "failed_s": failed_s, "limit": limit}
    ).rowcount
    fault_point("cleanup.deleting")
    return evicted


def delete_ended_jobs(conn: Connection, *, ended_s: float, limit: int) -> int:
    """Outbox rows of sessions and frontiers that ended so long ago. Those themselves stay. Returns how many went."""
    return sum(
        conn.execute(text(statement), {"ended_s": ended_s, "limit": limit}).rowcount
        for statement in (DELETE_ENDED_JOBS, DELETE_ENDED_FRONTIER_JOBS)
    )


def delete_unused_points(conn: Connection, *, unused_s: float, limit: int) -> int:
    """Points of frontiers that nobody has needed for so long; they can be solved again. Returns how many went."""
    return conn.execute(text(DELETE_UNUSED_POINTS), {"unused_s": unused_s, "limit": limit}).rowcount
