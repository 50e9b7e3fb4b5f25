-- Renewing and giving back: fenced by the lease.
UPDATE hookline_delivery AS d
SET next_attempt_at = $4, lease = CASE WHEN $5 THEN d.lease ELSE 0 END
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS k (message_id, endpoint_id, lease)
WHERE d.message_id = k.message_id AND d.endpoint_id = k.endpoint_id AND d.lease = k.lease
