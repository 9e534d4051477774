-- name: list_jobs
-- Rows of sessions and frontiers that have not ended, the longest due first.
SELECT coalesce(o.frontier_id, o.session_id) AS session_id, f.name AS fund,
       o.status, o.epoch, o.attempts, o.max_attempts,
       CAST(extract(epoch FROM o.next_run_at - now()) AS double precision) AS due_in_s,
       o.last_error, o.flow_run_id, o.created_at, o.job_type
FROM job_outbox o LEFT JOIN frontier_jobs j USING (frontier_id)
JOIN optimization_sessions s ON s.session_id = coalesce(o.session_id, j.session_id)
JOIN funds f ON f.id = s.fund_id
WHERE coalesce(j.status, s.status) NOT IN ('COMPLETED', 'FAILED')
ORDER BY o.next_run_at, o.created_at LIMIT :limit

-- name: lock_job
-- The status of the row of a session or frontier, which stays as it is until the transaction ends.
SELECT status FROM job_outbox WHERE session_id = :session OR frontier_id = :session FOR UPDATE

-- name: make_due
-- Makes the row of a session or frontier due now, with all its attempts before it.
UPDATE job_outbox SET next_run_at = now(), attempts = 0 WHERE :session IN (session_id, frontier_id)

-- name: wake_bridges
-- Notifies the bridges that a row is due.
SELECT pg_notify(:channel, '')

-- name: count_waiting_sessions
-- Sessions that no run has begun yet, counted up to :most.
SELECT count(*) FROM (SELECT FROM optimization_sessions WHERE status = 'REQUESTED' LIMIT :most) AS waiting

-- name: depth
-- Outbox rows of sessions and frontiers that have not ended, by status, and how long the oldest has been due.
SELECT o.status, count(*) AS depth,
  CAST(max(extract(epoch FROM now() - o.next_run_at)) AS double precision) AS oldest_due_s
FROM job_outbox o LEFT JOIN frontier_jobs j USING (frontier_id)
JOIN optimization_sessions s ON s.session_id = coalesce(o.session_id, j.session_id)
WHERE coalesce(j.status, s.status) NOT IN ('COMPLETED', 'FAILED') GROUP BY o.status

-- name: waiting_sessions
-- Sessions that no run has begun: how many, how many of them have a flow run, and the age of the oldest.
SELECT count(*) AS number, count(*) FILTER (WHERE o.status = 'enqueued') AS with_run,
  CAST(coalesce(extract(epoch FROM now() - min(s.created_at)), 0) AS double precision) AS oldest_s
FROM optimization_sessions s LEFT JOIN job_outbox o USING (session_id) WHERE s.status = 'REQUESTED'

-- name: long_transactions
-- Transactions of this database that have been open for longer than :long_s seconds.
SELECT coalesce(nullif(application_name, ''), 'unnamed'),
  CAST(extract(epoch FROM clock_timestamp() - xact_start) AS double precision)
FROM pg_stat_activity
WHERE datname = current_database() AND xact_start < clock_timestamp() - make_interval(secs => :long_s)
ORDER BY xact_start

-- name: count_bridges
-- Bridges that are connected now.
SELECT count(DISTINCT application_name) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE :name || '%'
