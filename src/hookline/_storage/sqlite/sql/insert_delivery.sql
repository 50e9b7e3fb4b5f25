-- A message that is routed again after a crash in the middle of its steps adds nothing twice.
INSERT INTO hookline_delivery
  (message_id, endpoint_id, attempts, step, lease, next_attempt_at, line)
VALUES (?, ?, 0, 0, ?, ?, ?)
ON CONFLICT DO NOTHING
