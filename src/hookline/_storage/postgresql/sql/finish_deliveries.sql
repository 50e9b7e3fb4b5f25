DELETE FROM hookline_delivery AS d
USING unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS k (message_id, endpoint_id, lease)
WHERE d.message_id = k.message_id AND d.endpoint_id = k.endpoint_id AND d.lease = k.lease
RETURNING d.message_id, d.endpoint_id, k.lease
