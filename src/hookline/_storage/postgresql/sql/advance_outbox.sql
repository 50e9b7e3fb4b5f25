UPDATE hookline_outbox SET after_endpoint = $1 WHERE due_at = $2 AND message_id = $3
