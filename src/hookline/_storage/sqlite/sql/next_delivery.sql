SELECT min(next_attempt_at) FROM hookline_delivery WHERE endpoint_id = ? AND next_attempt_at > ?
