-- Each endpoint gives what it is asked for, rows another worker is at are passed over, and rows
-- that were taken since are not seen again: the condition is checked once more under the lock.
SELECT d.message_id, m.event_type, m.body, d.attempts, d.step, d.resume_at, d.line,
  m.traceparent, d.endpoint_id
FROM unnest($1::uuid[], $2::int[]) AS wanted (endpoint_id, want)
CROSS JOIN LATERAL (
  SELECT * FROM hookline_delivery AS q
  WHERE q.endpoint_id = wanted.endpoint_id AND q.next_attempt_at <= $3
  ORDER BY q.next_attempt_at
  LIMIT wanted.want
  FOR UPDATE SKIP LOCKED
) AS d
JOIN hookline_message AS m ON m.id = d.message_id
