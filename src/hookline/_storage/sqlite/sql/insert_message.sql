INSERT INTO hookline_message (id, app_id, event_type, body, created_at, deliver_at)
VALUES (?, ?, ?, ?, ?, ?)
