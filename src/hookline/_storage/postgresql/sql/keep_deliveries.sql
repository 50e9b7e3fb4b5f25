UPDATE hookline_delivery AS d
SET
  attempts = d.attempts + 1, step = k.step, lease = 0, next_attempt_at = k.next_attempt_at,
  resume_at = NULL
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[])
  AS k (message_id, endpoint_id, lease, step, next_attempt_at)
WHERE d.message_id = k.message_id AND d.endpoint_id = k.endpoint_id AND d.lease = k.lease
RETURNING d.message_id, d.endpoint_id, k.lease
