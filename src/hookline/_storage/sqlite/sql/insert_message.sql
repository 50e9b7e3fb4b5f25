INSERT INTO hookline_message
  (id, app_id, event_type, body, ordering_key, event_id, channels, tags, traceparent, created_at,
  deliver_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
