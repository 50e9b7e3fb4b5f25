SELECT o.due_at, o.message_id, o.after_endpoint, m.app_id, m.event_type, m.body,
  m.ordering_key, m.channels, m.traceparent, a.revision
FROM hookline_outbox AS o
JOIN hookline_message AS m ON m.id = o.message_id
LEFT JOIN hookline_application AS a ON a.id = m.app_id
WHERE o.due_at <= $1
ORDER BY o.due_at, o.message_id
LIMIT $2
FOR UPDATE OF o SKIP LOCKED
