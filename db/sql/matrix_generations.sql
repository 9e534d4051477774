-- name: lock_generations
-- Serializes: until this transaction ends no other begins or ends a generation.
SELECT pg_advisory_xact_lock(:lock)

-- name: session_of_generation
-- The session that a generation was begun for.
SELECT session_id FROM matrix_generations WHERE matrix_key = :key AND generation = :generation

-- name: extend_generation
-- Renews the lease of a generation that this process still owns.
UPDATE matrix_generations SET lease_expires_at = now() + make_interval(secs => :lease_s)
WHERE matrix_key = :key AND generation = :generation AND lease_token = :token AND finished_at IS NULL

-- name: expire_generation_of_session
-- Ends the leases of a session whose process is known to be gone.
UPDATE matrix_generations SET lease_expires_at = now()
WHERE session_id = :session AND finished_at IS NULL AND lease_expires_at > now()

-- name: abandon_expired_generation
-- Closes the generation of a key whose lease has run out: abandoned, or failed (with its matrix, and returning the
-- reason) after :max_takeovers. Only those since the last generation that ended by itself count.
WITH earlier AS (
  SELECT count(*) AS takeovers FROM matrix_generations
  WHERE matrix_key = :key AND outcome = 'abandoned' AND generation > (
    SELECT coalesce(max(generation), 0) FROM matrix_generations
    WHERE matrix_key = :key AND outcome IN ('complete', 'failed')
  )
), closed AS (
  UPDATE matrix_generations
  SET finished_at = now(),
      outcome = CASE WHEN takeovers < :max_takeovers THEN 'abandoned' ELSE 'failed' END,
      error_reason = CASE WHEN takeovers >= :max_takeovers THEN
        format('abandoned %s times: each process that generated this matrix died', takeovers + 1) END
  FROM earlier
  WHERE matrix_key = :key AND finished_at IS NULL AND lease_expires_at <= now()
  RETURNING generation, error_reason
)
UPDATE scenario_matrices m
SET status = 'failed', completed_at = now(), error_reason = closed.error_reason
FROM closed
WHERE m.matrix_key = :key AND m.generation = closed.generation AND m.status = 'generating'
  AND closed.error_reason IS NOT NULL
RETURNING m.error_reason

-- name: failure_of_generation
-- Why a generation failed; no row for one that did not.
SELECT error_reason FROM matrix_generations
WHERE matrix_key = :key AND generation = :generation AND outcome = 'failed'

-- name: count_generations
-- The generation in progress for a key, those running, and those started within the last minute.
SELECT
  (SELECT generation FROM matrix_generations WHERE matrix_key = :key AND finished_at IS NULL) AS own,
  (SELECT count(*) FROM matrix_generations
   WHERE finished_at IS NULL AND lease_expires_at > now()) AS running,
  (SELECT count(*) FROM matrix_generations WHERE started_at > now() - interval '1 minute') AS recent

-- name: start_generation
-- The next generation of a key with a fresh lease, and the checksum of the last complete one.
INSERT INTO matrix_generations (matrix_key, generation, session_id, lease_token, lease_expires_at)
SELECT :key, coalesce(max(generation), 0) + 1, :session, gen_random_uuid(),
       now() + make_interval(secs => :lease_s)
FROM matrix_generations WHERE matrix_key = :key
RETURNING generation, lease_token, (
  SELECT payload_sha256 FROM matrix_generations WHERE matrix_key = :key AND outcome = 'complete'
  ORDER BY generation DESC LIMIT 1
) AS previous_sha256
