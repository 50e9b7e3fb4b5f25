SELECT o.due_at, o.message_id, o.after_endpoint, m.app_id, m.event_type, m.body,
  m.ordering_key, m.channels, m.traceparent
FROM hookline_outbox AS o
JOIN hookline_message AS m ON m.id = o.message_id
WHERE o.due_at <= ?
ORDER BY o.due_at, o.message_id
LIMIT ?
