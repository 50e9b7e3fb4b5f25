UPDATE hookline_endpoint
SET disabled_at = :now, disabled_reason = :reason, revision = revision + 1, updated_at = :now
WHERE id = :endpoint AND disabled_at IS NULL
