SELECT message_id, digest FROM hookline_idempotency WHERE app_id = $1 AND key = $2
