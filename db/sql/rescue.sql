-- name: expired_sessions
-- Active sessions whose lease ran out, longest expired first.
SELECT s.session_id, s.epoch, s.lease_token, coalesce(s.flow_run_id, o.flow_run_id) AS flow_run_id,
  CAST(extract(epoch FROM now() - o.begun_seen_at) AS double precision) AS begun_for_s
FROM optimization_sessions s LEFT JOIN job_outbox o USING (session_id)
WHERE s.status NOT IN ('COMPLETED', 'FAILED') AND s.lease_expires_at <= now()
ORDER BY s.lease_expires_at LIMIT :limit

-- name: stray_sessions
-- Active sessions that nobody holds though a flow run was made for them more than :grace_s seconds ago, longest
-- enqueued first.
SELECT s.session_id, s.epoch, s.lease_token, coalesce(s.flow_run_id, o.flow_run_id) AS flow_run_id,
  CAST(extract(epoch FROM now() - o.begun_seen_at) AS double precision) AS begun_for_s
FROM optimization_sessions s LEFT JOIN job_outbox o USING (session_id)
WHERE s.status NOT IN ('COMPLETED', 'FAILED') AND s.lease_token IS NULL
  AND o.status = 'enqueued' AND o.epoch = s.epoch AND o.enqueued_at < now() - make_interval(secs => :grace_s)
ORDER BY o.enqueued_at

-- name: orphaned_sessions
-- Active sessions that nobody holds and no outbox row leads on, oldest first.
SELECT s.session_id, s.epoch, s.lease_token, coalesce(s.flow_run_id, o.flow_run_id) AS flow_run_id,
  CAST(extract(epoch FROM now() - o.begun_seen_at) AS double precision) AS begun_for_s
FROM optimization_sessions s LEFT JOIN job_outbox o USING (session_id)
WHERE s.status NOT IN ('COMPLETED', 'FAILED') AND s.lease_token IS NULL
  AND (o.session_id IS NULL OR o.epoch <> s.epoch OR o.status = 'failed')
ORDER BY s.created_at LIMIT :limit

-- name: take_from_lost_run
-- Takes the lease that ran out from a session, and counts it.
UPDATE optimization_sessions
SET rescues = rescues + 1, lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL
WHERE session_id = :session AND epoch = :epoch AND lease_token = :token
  AND status NOT IN ('COMPLETED', 'FAILED') AND lease_expires_at <= now()
RETURNING rescues

-- name: next_epoch
-- A new epoch for an active session that nobody holds.
UPDATE optimization_sessions s SET epoch = epoch + 1, flow_run_id = NULL
WHERE session_id = :session AND epoch = :epoch AND lease_token IS NULL
  AND status NOT IN ('COMPLETED', 'FAILED')
RETURNING epoch

-- name: next_epoch_of_stray
-- A new epoch for an active session that nobody holds, if its outbox row still says that it has a flow run.
UPDATE optimization_sessions s SET epoch = epoch + 1, flow_run_id = NULL
WHERE session_id = :session AND epoch = :epoch AND lease_token IS NULL
  AND status NOT IN ('COMPLETED', 'FAILED')
  AND EXISTS (SELECT FROM job_outbox o WHERE o.session_id = s.session_id AND o.status = 'enqueued')
RETURNING epoch

-- name: next_epoch_of_orphan
-- A new epoch for an active session that nobody holds, if still no outbox row leads on.
UPDATE optimization_sessions s SET epoch = epoch + 1, flow_run_id = NULL
WHERE session_id = :session AND epoch = :epoch AND lease_token IS NULL
  AND status NOT IN ('COMPLETED', 'FAILED')
  AND NOT EXISTS (
    SELECT FROM job_outbox o
    WHERE o.session_id = s.session_id AND o.epoch = s.epoch AND o.status <> 'failed'
  )
RETURNING epoch

-- name: note_begun
-- When the flow run of a session was first seen to have begun without taking it.
UPDATE job_outbox SET begun_seen_at = now()
WHERE session_id = :session AND epoch = :epoch AND begun_seen_at IS NULL

-- name: fail_lost
-- FAILED, where the epoch is still the same and no live lease is held.
UPDATE optimization_sessions
SET status = 'FAILED', error_code = :error_code, error_reason = :reason, completed_at = now(),
    lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL
WHERE session_id = :session AND epoch = :epoch AND status NOT IN ('COMPLETED', 'FAILED')
  AND (lease_expires_at IS NULL OR lease_expires_at <= now())
