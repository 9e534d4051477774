-- name: usual_times
-- Medians of the seconds that the stages took, over the newest completed sessions of a fund.
WITH newest AS (
  SELECT * FROM optimization_sessions WHERE fund_id = :fund AND status = 'COMPLETED'
  ORDER BY created_at DESC, session_id DESC LIMIT :most
)
SELECT count(*) AS sessions,
  percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM matrix_completed_at - matrix_started_at))
    FILTER (WHERE matrix_origin = 'generated') AS matrix_s,
  percentile_cont(0.5) WITHIN GROUP (
    ORDER BY extract(epoch FROM optimization_completed_at - optimization_started_at)) AS optimize_s,
  percentile_cont(0.5) WITHIN GROUP (
    ORDER BY extract(epoch FROM completed_at - validation_started_at)) AS validate_s
FROM newest
