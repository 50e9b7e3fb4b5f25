-- The head is gone: the oldest of those behind it is due.
UPDATE hookline_delivery SET next_attempt_at = :now
WHERE endpoint_id = :endpoint AND next_attempt_at = :in_line AND message_id = (
  SELECT min(message_id) FROM hookline_delivery
  WHERE endpoint_id = :endpoint AND line = :line AND line IS NOT NULL
)
