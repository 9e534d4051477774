-- name: session_status
-- A session's state for a member of its fund, with its position in the queue.
SELECT s.session_id, s.fund_id, f.name AS fund_name, m.role, s.created_by, u.name AS created_by_name,
       s.status, s.epoch, s.error_code,
       s.error_reason, s.progress, s.matrix_key, s.matrix_origin, s.created_at, s.matrix_started_at,
       s.matrix_completed_at, s.optimization_started_at, s.optimization_completed_at, s.validation_started_at,
       s.completed_at,
       CASE WHEN s.status = 'REQUESTED' THEN (
         SELECT count(*) FROM optimization_sessions w
         WHERE w.status = 'REQUESTED' AND w.created_at <= s.created_at
           AND (w.created_at, w.session_id) <= (s.created_at, s.session_id)
       ) END AS queue_position
FROM optimization_sessions s
JOIN fund_members m ON m.fund_id = s.fund_id AND m.user_id = :user
JOIN funds f ON f.id = s.fund_id
JOIN users u ON u.id = s.created_by
WHERE s.session_id = :session

-- name: list_sessions
-- The newest sessions of the funds that a user is a member of, one page. Each fund's newest come from its index,
-- however many sessions there are; then the newest of these.
SELECT s.session_id, s.fund_id, f.name AS fund_name, s.status, s.created_at, s.completed_at,
       u.name AS created_by_name, s.error_code,
       CAST(s.solver_metadata -> 'figures' ->> 'expectedMoic' AS double precision) AS expected_moic,
       CAST(s.solver_metadata -> 'figures' ->> 'lossProbability' AS double precision) AS loss_probability,
       CAST(s.solver_metadata -> 'figures' ->> 'cvar' AS double precision) AS cvar,
       CAST(s.solver_metadata -> 'figures' ->> 'expectedWinners' AS double precision) AS expected_winners,
       coalesce(jsonb_array_length(s.solver_metadata -> 'relaxations') > 0, false) AS relaxed,
       s.validation_metrics -> 'verdict' ->> 'status' AS verdict
FROM (
  SELECT newest.session_id, newest.created_at
  FROM fund_members m,
  LATERAL (
    SELECT o.session_id, o.created_at FROM optimization_sessions o
    WHERE o.fund_id = m.fund_id
      AND (CAST(:status AS text) IS NULL OR o.status = :status)
      AND o.created_at <= coalesce(CAST(:at AS timestamptz), 'infinity')
      AND (CAST(:at AS timestamptz) IS NULL OR (o.created_at, o.session_id) < (:at, CAST(:id AS uuid)))
    ORDER BY o.created_at DESC, o.session_id DESC LIMIT :limit
  ) AS newest
  WHERE m.user_id = :user AND (CAST(:fund AS uuid) IS NULL OR m.fund_id = :fund)
  ORDER BY newest.created_at DESC, newest.session_id DESC LIMIT :limit
) AS listed
JOIN optimization_sessions s USING (session_id)
JOIN funds f ON f.id = s.fund_id
JOIN users u ON u.id = s.created_by
ORDER BY s.created_at DESC, s.session_id DESC

-- name: newest_request
-- The newest request of a fund, as it was submitted.
SELECT request FROM optimization_sessions WHERE fund_id = :fund
ORDER BY created_at DESC, session_id DESC LIMIT 1
