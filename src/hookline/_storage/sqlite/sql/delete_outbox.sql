DELETE FROM hookline_outbox WHERE due_at = ? AND message_id = ?
