UPDATE hookline_delivery SET lease = ?, next_attempt_at = ?
WHERE message_id = ? AND endpoint_id = ?
