UPDATE hookline_delivery AS d SET lease = $3, next_attempt_at = $4
FROM unnest($1::uuid[], $2::uuid[]) AS k (message_id, endpoint_id)
WHERE d.message_id = k.message_id AND d.endpoint_id = k.endpoint_id
