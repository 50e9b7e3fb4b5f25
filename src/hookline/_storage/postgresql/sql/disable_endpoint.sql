UPDATE hookline_endpoint
SET disabled_at = $2, disabled_reason = $3, revision = revision + 1, updated_at = $2
WHERE id = $1 AND disabled_at IS NULL
