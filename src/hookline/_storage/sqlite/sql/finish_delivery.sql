DELETE FROM hookline_delivery WHERE message_id = ? AND endpoint_id = ? AND lease = ?
