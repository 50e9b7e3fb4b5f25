UPDATE hookline_delivery
SET attempts = attempts + 1, step = ?, lease = 0, next_attempt_at = ?, resume_at = NULL
WHERE message_id = ? AND endpoint_id = ? AND lease = ?
