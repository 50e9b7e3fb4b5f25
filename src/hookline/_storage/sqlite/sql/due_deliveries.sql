SELECT d.message_id, m.event_type, m.body, d.attempts, d.step, d.resume_at, d.line,
  m.traceparent
FROM hookline_delivery AS d
JOIN hookline_message AS m ON m.id = d.message_id
WHERE d.endpoint_id = ? AND d.next_attempt_at <= ?
ORDER BY d.next_attempt_at
LIMIT ?
