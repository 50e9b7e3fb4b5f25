DELETE FROM hookline_outbox AS o
USING unnest($1::bigint[], $2::uuid[]) AS done (due_at, message_id)
WHERE o.due_at = done.due_at AND o.message_id = done.message_id
