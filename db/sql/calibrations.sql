-- name: usable_snapshot
-- A snapshot that a fund may use: its own, or one of every fund.
SELECT c.snapshot FROM calibration_snapshots c JOIN funds f ON f.id = coalesce(c.fund_id, f.id)
WHERE c.version = :version AND f.id = :fund

-- name: newest_version
-- The latest snapshot of a fund, or of every fund for NULL.
SELECT version FROM calibration_snapshots WHERE fund_id IS NOT DISTINCT FROM :fund
ORDER BY created_at DESC, version DESC LIMIT 1

-- name: list_snapshots
-- The snapshots that a fund may use, newest first.
SELECT version, fund_id, method, sample_size, data_window, created_at FROM calibration_snapshots
WHERE fund_id IS NULL OR fund_id = :fund ORDER BY created_at DESC, version DESC
