INSERT INTO hookline_outbox (due_at, message_id) VALUES (?, ?)
