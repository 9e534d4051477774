-- name: create_session
-- A session, with its lease where :lease_s is given; no row where the client key was used before.
INSERT INTO optimization_sessions (
  session_id, fund_id, created_by, driver, client_key, request_hash, request, normalized_config,
  matrix_key, matrix_key_json, lease_token, lease_expires_at, lease_owner
) VALUES (
  coalesce(CAST(:session_id AS uuid), gen_random_uuid()), :fund_id, :created_by, :driver, :client_key,
  :request_hash, :request, :normalized_config, :matrix_key, :matrix_key_json,
  CASE WHEN CAST(:lease_s AS double precision) IS NOT NULL THEN gen_random_uuid() END,
  now() + make_interval(secs => CAST(:lease_s AS double precision)), :lease_owner
)
ON CONFLICT (fund_id, client_key) DO NOTHING
RETURNING session_id, status, epoch, error_code, error_reason, lease_token

-- name: session_of_client_key
-- The session that a client key was used for, and the hash of its request.
SELECT session_id, status, epoch, error_code, error_reason, request_hash FROM optimization_sessions
WHERE fund_id = :fund AND client_key = :client_key
