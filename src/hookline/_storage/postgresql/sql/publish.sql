-- Message and outbox in one statement. Sent again after a broken connection it adds nothing twice.
WITH new AS (
  SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[]
  ) AS t (
    id, app_id, event_type, body, ordering_key, event_id, channels, tags, traceparent, created_at,
    deliver_at, due_at
  )
), inserted AS (
  INSERT INTO hookline_message
    (id, app_id, event_type, body, ordering_key, event_id, channels, tags, traceparent, created_at,
    deliver_at)
  SELECT
    id, app_id, event_type, body, ordering_key, event_id, channels, tags, traceparent, created_at,
    deliver_at
  FROM new
  ON CONFLICT DO NOTHING
  RETURNING id
)
INSERT INTO hookline_outbox (due_at, message_id)
SELECT new.due_at, new.id FROM new JOIN inserted USING (id)
