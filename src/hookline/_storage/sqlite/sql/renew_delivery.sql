UPDATE hookline_delivery SET next_attempt_at = ?
WHERE message_id = ? AND endpoint_id = ? AND lease = ?
