-- name: list_entries
-- The newest entries, one page: all of them, or those that concern a reader and the funds of that reader.
SELECT a.entry_id, a.created_at, u.name AS user_name, a.credential, a.action, a.session_id, a.fund_id,
       a.matrix_key, a.detail
FROM audit_entries a LEFT JOIN users u ON u.id = a.user_id
WHERE a.entry_id < coalesce(:before, 9223372036854775807)
  AND (
    CAST(:reader AS uuid) IS NULL OR a.user_id = :reader
    OR EXISTS (SELECT FROM fund_members m WHERE m.fund_id = a.fund_id AND m.user_id = :reader)
    OR EXISTS (
      SELECT FROM optimization_sessions s JOIN fund_members m ON m.fund_id = s.fund_id
      WHERE s.matrix_key = a.matrix_key AND m.user_id = :reader
    )
  )
ORDER BY a.entry_id DESC LIMIT :limit
