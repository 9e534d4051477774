-- name: submit_frontier
-- A frontier that nobody has asked for, or one that failed, asked for again under a new epoch; no row for any other.
INSERT INTO frontier_jobs AS f (session_id, created_by, vary, vary_hash, request, matrix_key)
VALUES (:session_id, :created_by, :vary, :vary_hash, :request, :matrix_key)
ON CONFLICT (session_id, vary_hash) DO UPDATE SET
  status = 'REQUESTED', epoch = f.epoch + 1, created_by = excluded.created_by, request = excluded.request,
  error_code = NULL, error_reason = NULL, completed_at = NULL, solved = 0, rescues = 0, flow_run_id = NULL
  WHERE f.status = 'FAILED'
RETURNING frontier_id, session_id, created_by, vary, request, matrix_key, status, error_code, error_reason,
          epoch, lease_token, solved, document, created_at, completed_at

-- name: find_frontier
-- The frontier of a session for these values.
SELECT frontier_id, session_id, created_by, vary, request, matrix_key, status, error_code, error_reason,
       epoch, lease_token, solved, document, created_at, completed_at
FROM frontier_jobs WHERE session_id = :session AND vary_hash = :hash

-- name: load_frontier
-- A frontier by its id.
SELECT frontier_id, session_id, created_by, vary, request, matrix_key, status, error_code, error_reason,
       epoch, lease_token, solved, document, created_at, completed_at
FROM frontier_jobs WHERE frontier_id = :frontier

-- name: count_waiting_frontiers
-- Frontiers that no run has begun yet, counted up to :most.
SELECT count(*) FROM (
  SELECT FROM frontier_jobs WHERE status NOT IN ('COMPLETED', 'FAILED') AND status = 'REQUESTED' LIMIT :most
) AS waiting

-- name: take_frontier
-- SOLVING under a new lease, where the epoch is still the same and no live lease is held.
UPDATE frontier_jobs
SET status = 'SOLVING', started_at = coalesce(started_at, now()), solved = 0, lease_owner = :owner,
    lease_token = gen_random_uuid(), lease_expires_at = now() + make_interval(secs => :lease_s)
WHERE frontier_id = :frontier AND epoch = :epoch AND status NOT IN ('COMPLETED', 'FAILED')
  AND (lease_expires_at IS NULL OR lease_expires_at <= now())
RETURNING lease_token

-- name: extend_frontier_lease
-- Renews the lease of a run.
UPDATE frontier_jobs
SET lease_expires_at = now() + make_interval(secs => :lease_s)
WHERE frontier_id = :frontier AND epoch = :epoch AND lease_token = :token AND status NOT IN ('COMPLETED', 'FAILED')

-- name: record_frontier_run
-- Which flow run solves it.
UPDATE frontier_jobs
SET flow_run_id = :run
WHERE frontier_id = :frontier AND epoch = :epoch AND lease_token = :token AND status NOT IN ('COMPLETED', 'FAILED')

-- name: release_frontier
-- Lets the next run take it at once.
UPDATE frontier_jobs
SET lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL
WHERE frontier_id = :frontier AND epoch = :epoch AND lease_token = :token AND status NOT IN ('COMPLETED', 'FAILED')

-- name: count_point
-- One more point is solved.
UPDATE frontier_jobs
SET solved = solved + 1
WHERE frontier_id = :frontier AND epoch = :epoch AND lease_token = :token AND status NOT IN ('COMPLETED', 'FAILED')

-- name: complete_frontier
-- SOLVING -> COMPLETED.
UPDATE frontier_jobs
SET status = 'COMPLETED', document = :document, completed_at = now(),
    lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL
WHERE frontier_id = :frontier AND epoch = :epoch AND lease_token = :token AND status NOT IN ('COMPLETED', 'FAILED')

-- name: fail_frontier
-- FAILED, by the run that holds it.
UPDATE frontier_jobs
SET status = 'FAILED', error_code = :code, error_reason = :reason, completed_at = now(),
    lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL
WHERE frontier_id = :frontier AND epoch = :epoch AND lease_token = :token AND status NOT IN ('COMPLETED', 'FAILED')

-- name: cancel_frontier
-- FAILED, whoever holds it.
UPDATE frontier_jobs
SET status = 'FAILED', error_code = :code, error_reason = :reason, completed_at = now(),
    lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL
WHERE frontier_id = :frontier AND status NOT IN ('COMPLETED', 'FAILED')

-- name: frontier_of_run
-- The active frontier that a flow run solves or was made to; locked until the transaction ends.
SELECT f.frontier_id FROM frontier_jobs f LEFT JOIN job_outbox o USING (frontier_id)
WHERE f.status NOT IN ('COMPLETED', 'FAILED') AND coalesce(f.flow_run_id, o.flow_run_id) = :run
FOR UPDATE OF f

-- name: find_point
-- A point that was solved before, noted as used.
UPDATE frontier_points SET last_used_at = now() WHERE point_key = :key RETURNING point

-- name: store_point
-- Keeps a solved point; the first that is stored stays.
INSERT INTO frontier_points (point_key, matrix_key, value, point) VALUES (:key, :matrix, :value, :point)
ON CONFLICT (point_key) DO NOTHING
