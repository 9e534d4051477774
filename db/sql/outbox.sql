-- name: put_session_job
-- Makes a session's row say that this epoch needs a flow run (pending) or has one (enqueued), whatever it said; a
-- pending one wakes the bridges.
WITH put AS (
  INSERT INTO job_outbox AS o (
    idempotency_key, job_type, session_id, epoch, payload, status, enqueued_at, next_run_at
  )
  VALUES (
    'optimization_session:' || CAST(:session AS uuid), 'optimization_session', :session, :epoch,
    jsonb_build_object('session_id', CAST(:session AS uuid), 'epoch', CAST(:epoch AS integer)),
    :status, CASE WHEN :status = 'enqueued' THEN now() END, now() + make_interval(secs => :delay_s)
  )
  ON CONFLICT (session_id) DO UPDATE SET
    epoch = excluded.epoch, payload = excluded.payload, status = excluded.status,
    enqueued_at = excluded.enqueued_at, next_run_at = excluded.next_run_at,
    attempts = 0, claim_id = NULL, processing_at = NULL, flow_run_id = NULL,
    begun_seen_at = NULL, error_reason = NULL, last_error = NULL
  RETURNING status
)
SELECT pg_notify(:channel, '') FROM put WHERE status = 'pending'

-- name: put_frontier_job
-- The same for a frontier.
WITH put AS (
  INSERT INTO job_outbox AS o (
    idempotency_key, job_type, frontier_id, epoch, payload, status, enqueued_at, next_run_at
  )
  VALUES (
    'frontier:' || CAST(:frontier AS uuid), 'frontier', :frontier, :epoch,
    jsonb_build_object('frontier_id', CAST(:frontier AS uuid), 'epoch', CAST(:epoch AS integer)),
    :status, CASE WHEN :status = 'enqueued' THEN now() END, now() + make_interval(secs => :delay_s)
  )
  ON CONFLICT (frontier_id) DO UPDATE SET
    epoch = excluded.epoch, payload = excluded.payload, status = excluded.status,
    enqueued_at = excluded.enqueued_at, next_run_at = excluded.next_run_at,
    attempts = 0, claim_id = NULL, processing_at = NULL, flow_run_id = NULL,
    begun_seen_at = NULL, error_reason = NULL, last_error = NULL
  RETURNING status
)
SELECT pg_notify(:channel, '') FROM put WHERE status = 'pending'

-- name: close_session_job
-- Ends a session's row for which no flow run was created.
UPDATE job_outbox
SET status = 'failed', error_reason = :reason, claim_id = NULL, processing_at = NULL
WHERE session_id = :session AND status IN ('pending', 'processing')

-- name: close_frontier_job
-- Ends a frontier's row for which no flow run was created.
UPDATE job_outbox
SET status = 'failed', error_reason = :reason, claim_id = NULL, processing_at = NULL
WHERE frontier_id = :frontier AND status IN ('pending', 'processing')

-- name: claim_jobs
-- pending -> processing for due rows, the longest due first, passing over those that others claim.
WITH due AS (
  SELECT job_id FROM job_outbox
  WHERE status = 'pending' AND next_run_at <= now()
  ORDER BY next_run_at, created_at
  LIMIT :limit
  FOR UPDATE SKIP LOCKED
), claimed AS (
  UPDATE job_outbox j
  SET status = 'processing', attempts = attempts + 1, claim_id = gen_random_uuid(), processing_at = now()
  FROM due WHERE j.job_id = due.job_id
  RETURNING j.*
)
SELECT c.job_id, c.claim_id, s.session_id, f.name AS fund_name, c.epoch, c.idempotency_key, c.payload,
       c.attempts, c.max_attempts,
       CAST(extract(epoch FROM clock_timestamp() - c.next_run_at) AS double precision) AS waited_s,
       now() AS claimed_at, c.job_type, c.frontier_id
FROM claimed c LEFT JOIN frontier_jobs j ON j.frontier_id = c.frontier_id
JOIN optimization_sessions s ON s.session_id = coalesce(c.session_id, j.session_id)
JOIN funds f ON f.id = s.fund_id
ORDER BY c.next_run_at, c.created_at

-- name: mark_enqueued
-- processing -> enqueued for claims that still stand, with their flow runs.
UPDATE job_outbox o
SET status = 'enqueued', enqueued_at = now(), flow_run_id = made.flow_run_id, last_error = NULL,
    claim_id = NULL, processing_at = NULL
FROM unnest(CAST(:claims AS uuid[]), CAST(:runs AS uuid[])) AS made (claim_id, flow_run_id)
WHERE o.status = 'processing' AND o.claim_id = made.claim_id
RETURNING coalesce(o.frontier_id, o.session_id)

-- name: release_claims
-- processing -> pending for claims that still stand, without counting an attempt.
UPDATE job_outbox
SET status = 'pending', attempts = attempts - 1, claim_id = NULL, processing_at = NULL
WHERE status = 'processing' AND claim_id = ANY (CAST(:claims AS uuid[]))
RETURNING coalesce(frontier_id, session_id)

-- name: fail_session_claim
-- Returns a session's claim after a failure: pending in min(2^attempts, 300) seconds, or failed, and the session with
-- it, after max_attempts. Locks the session before the row.
WITH chosen AS (
  SELECT o.job_id, least(power(2, o.attempts), 300) AS delay_s
  FROM optimization_sessions s JOIN job_outbox o ON o.session_id = s.session_id
  WHERE s.session_id = :subject_id AND o.job_id = :job_id AND o.claim_id = :claim_id
  FOR UPDATE
),
returned AS (
  UPDATE job_outbox o
  SET status = CASE WHEN o.attempts < o.max_attempts THEN 'pending' ELSE 'failed' END,
      error_reason = CASE WHEN o.attempts < o.max_attempts THEN NULL ELSE :reason END,
      last_error = :reason,
      next_run_at = now() + make_interval(secs => chosen.delay_s),
      claim_id = NULL, processing_at = NULL
  FROM chosen WHERE o.job_id = chosen.job_id
  RETURNING o.session_id AS subject_id, o.epoch, o.status
), failed AS (
  UPDATE optimization_sessions s
  SET status = 'FAILED', error_code = :error_code, error_reason = :reason, completed_at = now(),
      lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL
  FROM returned r
  WHERE r.status = 'failed' AND s.session_id = r.subject_id AND s.epoch = r.epoch
    AND s.status NOT IN ('COMPLETED', 'FAILED') AND (s.lease_expires_at IS NULL OR s.lease_expires_at <= now())
)
SELECT subject_id, status FROM returned ORDER BY subject_id

-- name: fail_frontier_claim
-- The same for a frontier.
WITH chosen AS (
  SELECT o.job_id, least(power(2, o.attempts), 300) AS delay_s
  FROM frontier_jobs s JOIN job_outbox o ON o.frontier_id = s.frontier_id
  WHERE s.frontier_id = :subject_id AND o.job_id = :job_id AND o.claim_id = :claim_id
  FOR UPDATE
),
returned AS (
  UPDATE job_outbox o
  SET status = CASE WHEN o.attempts < o.max_attempts THEN 'pending' ELSE 'failed' END,
      error_reason = CASE WHEN o.attempts < o.max_attempts THEN NULL ELSE :reason END,
      last_error = :reason,
      next_run_at = now() + make_interval(secs => chosen.delay_s),
      claim_id = NULL, processing_at = NULL
  FROM chosen WHERE o.job_id = chosen.job_id
  RETURNING o.frontier_id AS subject_id, o.epoch, o.status
), failed AS (
  UPDATE frontier_jobs s
  SET status = 'FAILED', error_code = :error_code, error_reason = :reason, completed_at = now(),
      lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL
  FROM returned r
  WHERE r.status = 'failed' AND s.frontier_id = r.subject_id AND s.epoch = r.epoch
    AND s.status NOT IN ('COMPLETED', 'FAILED') AND (s.lease_expires_at IS NULL OR s.lease_expires_at <= now())
)
SELECT subject_id, status FROM returned ORDER BY subject_id

-- name: reset_stuck_sessions
-- Returns the claims of processes that died holding them: pending, or failed, and the session with it, after
-- max_attempts.
WITH chosen AS (
  SELECT o.job_id, 0.0 AS delay_s
  FROM optimization_sessions s JOIN job_outbox o ON o.session_id = s.session_id
  WHERE o.status = 'processing' AND o.processing_at < now() - make_interval(secs => :older_than_s)
  FOR UPDATE SKIP LOCKED
),
returned AS (
  UPDATE job_outbox o
  SET status = CASE WHEN o.attempts < o.max_attempts THEN 'pending' ELSE 'failed' END,
      error_reason = CASE WHEN o.attempts < o.max_attempts THEN NULL ELSE :reason END,
      last_error = :reason,
      next_run_at = now() + make_interval(secs => chosen.delay_s),
      claim_id = NULL, processing_at = NULL
  FROM chosen WHERE o.job_id = chosen.job_id
  RETURNING o.session_id AS subject_id, o.epoch, o.status
), failed AS (
  UPDATE optimization_sessions s
  SET status = 'FAILED', error_code = :error_code, error_reason = :reason, completed_at = now(),
      lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL
  FROM returned r
  WHERE r.status = 'failed' AND s.session_id = r.subject_id AND s.epoch = r.epoch
    AND s.status NOT IN ('COMPLETED', 'FAILED') AND (s.lease_expires_at IS NULL OR s.lease_expires_at <= now())
)
SELECT subject_id, status FROM returned ORDER BY subject_id

-- name: reset_stuck_frontiers
-- The same for frontiers.
WITH chosen AS (
  SELECT o.job_id, 0.0 AS delay_s
  FROM frontier_jobs s JOIN job_outbox o ON o.frontier_id = s.frontier_id
  WHERE o.status = 'processing' AND o.processing_at < now() - make_interval(secs => :older_than_s)
  FOR UPDATE SKIP LOCKED
),
returned AS (
  UPDATE job_outbox o
  SET status = CASE WHEN o.attempts < o.max_attempts THEN 'pending' ELSE 'failed' END,
      error_reason = CASE WHEN o.attempts < o.max_attempts THEN NULL ELSE :reason END,
      last_error = :reason,
      next_run_at = now() + make_interval(secs => chosen.delay_s),
      claim_id = NULL, processing_at = NULL
  FROM chosen WHERE o.job_id = chosen.job_id
  RETURNING o.frontier_id AS subject_id, o.epoch, o.status
), failed AS (
  UPDATE frontier_jobs s
  SET status = 'FAILED', error_code = :error_code, error_reason = :reason, completed_at = now(),
      lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL
  FROM returned r
  WHERE r.status = 'failed' AND s.frontier_id = r.subject_id AND s.epoch = r.epoch
    AND s.status NOT IN ('COMPLETED', 'FAILED') AND (s.lease_expires_at IS NULL OR s.lease_expires_at <= now())
)
SELECT subject_id, status FROM returned ORDER BY subject_id
