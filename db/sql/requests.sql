-- name: session_of_run
-- The active session that a flow run carries or was made to, or whose id it has; locked until the transaction ends.
SELECT s.session_id FROM optimization_sessions s LEFT JOIN job_outbox o USING (session_id)
WHERE s.status NOT IN ('COMPLETED', 'FAILED') AND coalesce(s.flow_run_id, o.flow_run_id, s.session_id) = :run
FOR UPDATE OF s
