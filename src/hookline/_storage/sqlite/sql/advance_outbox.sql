UPDATE hookline_outbox SET after_endpoint = ? WHERE due_at = ? AND message_id = ?
