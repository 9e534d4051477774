-- name: evict_matrices
-- Complete matrices not read for :complete_s seconds and failed ones that old, longest unread first; none that an
-- active session or frontier needs.
WITH old AS (
  SELECT matrix_key FROM scenario_matrices m
  WHERE (
      (status = 'complete' AND last_accessed_at < now() - make_interval(secs => :complete_s))
      OR (status = 'failed' AND completed_at < now() - make_interval(secs => :failed_s))
    )
    AND NOT EXISTS (
      SELECT FROM optimization_sessions s
      WHERE s.matrix_key = m.matrix_key AND s.status NOT IN ('COMPLETED', 'FAILED')
    )
    AND NOT EXISTS (
      SELECT FROM frontier_jobs f
      WHERE f.matrix_key = m.matrix_key AND f.status NOT IN ('COMPLETED', 'FAILED')
    )
  ORDER BY last_accessed_at LIMIT :limit
  FOR UPDATE SKIP LOCKED
)
DELETE FROM scenario_matrices m USING old WHERE m.matrix_key = old.matrix_key

-- name: delete_ended_jobs
-- Outbox rows of sessions that ended :ended_s seconds ago, the oldest first.
WITH old AS (
  SELECT o.job_id FROM job_outbox o JOIN optimization_sessions s USING (session_id)
  -- Older than its session's end, a row is found by its own age; the sessions whose rows went long ago are not read.
  WHERE o.created_at < now() - make_interval(secs => :ended_s)
    AND s.completed_at < now() - make_interval(secs => :ended_s)
  ORDER BY o.created_at LIMIT :limit
  FOR UPDATE OF o SKIP LOCKED
)
DELETE FROM job_outbox o USING old WHERE o.job_id = old.job_id

-- name: delete_ended_frontier_jobs
-- The same of frontiers.
WITH old AS (
  SELECT o.job_id FROM job_outbox o JOIN frontier_jobs f USING (frontier_id)
  WHERE o.created_at < now() - make_interval(secs => :ended_s)
    AND f.completed_at < now() - make_interval(secs => :ended_s)
  ORDER BY o.created_at LIMIT :limit
  FOR UPDATE OF o SKIP LOCKED
)
DELETE FROM job_outbox o USING old WHERE o.job_id = old.job_id

-- name: delete_unused_points
-- Points of frontiers that nobody has needed for :unused_s seconds.
DELETE FROM frontier_points WHERE point_key IN (
  SELECT point_key FROM frontier_points WHERE last_used_at < now() - make_interval(secs => :unused_s)
  ORDER BY last_used_at LIMIT :limit
  FOR UPDATE SKIP LOCKED
)
