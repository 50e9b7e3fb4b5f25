UPDATE hookline_delivery SET attempts = attempts + 1, lease = 0, next_attempt_at = ?
WHERE message_id = ? AND endpoint_id = ? AND lease = ?
