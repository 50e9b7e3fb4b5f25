-- Renewing and giving back: fenced by the lease. Rows that are being settled are passed over: whoever
-- waited for them, holding others, could be waited for in turn.
UPDATE hookline_delivery AS d
SET next_attempt_at = $4, lease = CASE WHEN $5 THEN d.lease ELSE 0 END
FROM (
  SELECT q.message_id, q.endpoint_id
  FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS k (message_id, endpoint_id, lease)
  JOIN hookline_delivery AS q
    ON q.message_id = k.message_id AND q.endpoint_id = k.endpoint_id AND q.lease = k.lease
  FOR UPDATE OF q SKIP LOCKED
) AS mine
WHERE d.message_id = mine.message_id AND d.endpoint_id = mine.endpoint_id
