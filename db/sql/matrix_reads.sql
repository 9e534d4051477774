-- name: find_matrix
-- A matrix without its values, for a member of a fund whose session needs or needed it.
SELECT x.matrix_key, x.status, x.sim_model_version, x.calibration_version, x.generation, x.error_reason,
       x.bucket_count, x.s_opt, x.payload_sha256, octet_length(x.moic_matrix) AS bytes_stored, x.created_at,
       x.completed_at, x.last_accessed_at, x.bucket_keys, x.bucket_stats,
       x.matrix_key_json
FROM scenario_matrices x
WHERE EXISTS (
  SELECT FROM optimization_sessions s JOIN fund_members m USING (fund_id)
  WHERE s.matrix_key = x.matrix_key AND m.user_id = :user
)
AND x.matrix_key = :key

-- name: list_matrices
-- Such matrices, those read last first.
SELECT x.matrix_key, x.status, x.sim_model_version, x.calibration_version, x.generation, x.error_reason,
       x.bucket_count, x.s_opt, x.payload_sha256, octet_length(x.moic_matrix) AS bytes_stored, x.created_at,
       x.completed_at, x.last_accessed_at, x.bucket_keys, x.bucket_stats,
       x.matrix_key_json
FROM scenario_matrices x
WHERE EXISTS (
  SELECT FROM optimization_sessions s JOIN fund_members m USING (fund_id)
  WHERE s.matrix_key = x.matrix_key AND m.user_id = :user
)
ORDER BY x.last_accessed_at DESC, x.matrix_key LIMIT :limit
