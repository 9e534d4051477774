-- name: read_reference
-- Key, generation and checksum of a complete matrix.
SELECT matrix_key, generation, payload_sha256 FROM scenario_matrices
WHERE matrix_key = :key AND status = 'complete'

-- name: note_access
-- When a matrix was last read, to the minute, so that reading seldom writes.
UPDATE scenario_matrices SET last_accessed_at = now()
WHERE matrix_key = :key AND status = 'complete' AND last_accessed_at < now() - interval '1 minute'

-- name: invalidate
-- Discards a complete or failed matrix.
DELETE FROM scenario_matrices WHERE matrix_key = :key AND status <> 'generating'
