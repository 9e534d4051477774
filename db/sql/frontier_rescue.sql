-- name: lost_frontiers
-- Active frontiers whose lease ran out, whose flow run has not taken them, or which no outbox row leads on; oldest
-- first.
SELECT f.frontier_id, f.epoch, f.lease_token, coalesce(f.flow_run_id, o.flow_run_id) AS flow_run_id,
  o.status = 'enqueued' AND o.epoch = f.epoch AS has_run,
  CAST(extract(epoch FROM now() - o.begun_seen_at) AS double precision) AS begun_for_s
FROM frontier_jobs f LEFT JOIN job_outbox o USING (frontier_id)
WHERE f.status NOT IN ('COMPLETED', 'FAILED') AND (
  f.lease_expires_at <= now()
  OR f.lease_token IS NULL AND (o.frontier_id IS NULL OR o.epoch <> f.epoch OR o.status = 'failed')
  OR f.lease_token IS NULL AND o.status = 'enqueued' AND o.enqueued_at < now() - make_interval(secs => :grace_s)
)
ORDER BY f.created_at

-- name: begin_again
-- A new epoch for a lost frontier. Guarded by the epoch and the lease as they were read: of two that write, one does.
UPDATE frontier_jobs
SET status = 'REQUESTED', epoch = epoch + 1,
    rescues = rescues + CASE WHEN lease_token IS NULL THEN 0 ELSE 1 END,
    flow_run_id = NULL, lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL
WHERE frontier_id = :frontier AND epoch = :epoch AND lease_token IS NOT DISTINCT FROM :token
  AND status NOT IN ('COMPLETED', 'FAILED')
  AND (lease_expires_at IS NULL OR lease_expires_at <= now())
RETURNING rescues

-- name: note_frontier_begun
-- When the flow run of a frontier was first seen to have begun without taking it.
UPDATE job_outbox SET begun_seen_at = now()
WHERE frontier_id = :frontier AND epoch = :epoch AND begun_seen_at IS NULL

-- name: fail_lost_frontier
-- FAILED, where it is still lost; guarded as above.
UPDATE frontier_jobs
SET status = 'FAILED', error_code = :code, error_reason = :reason, completed_at = now(),
    lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL
WHERE frontier_id = :frontier AND epoch = :epoch AND lease_token IS NOT DISTINCT FROM :token
  AND status NOT IN ('COMPLETED', 'FAILED')
  AND (lease_expires_at IS NULL OR lease_expires_at <= now())
