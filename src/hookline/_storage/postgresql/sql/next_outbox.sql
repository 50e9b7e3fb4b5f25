SELECT min(due_at) FROM hookline_outbox
