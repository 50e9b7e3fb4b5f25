-- A message that is routed again after a crash in the middle of its steps adds nothing twice.
WITH added AS (
  INSERT INTO hookline_delivery
    (message_id, endpoint_id, attempts, step, lease, next_attempt_at, line)
  SELECT message_id, endpoint_id, 0, 0, lease, next_attempt_at, line
  FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::text[])
    AS t (message_id, endpoint_id, lease, next_attempt_at, line)
  ON CONFLICT DO NOTHING
), done AS (
  DELETE FROM hookline_outbox AS o
  USING unnest($6::bigint[], $7::uuid[]) AS d (due_at, message_id)
  WHERE o.due_at = d.due_at AND o.message_id = d.message_id
)
SELECT min(due_at) FROM hookline_outbox WHERE due_at > $8
