SELECT message_id, digest FROM hookline_idempotency WHERE app_id = ? AND key = ?
