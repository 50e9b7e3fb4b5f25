-- The heads are gone: the oldest of those behind each is due.
UPDATE hookline_delivery AS d SET next_attempt_at = $3
FROM unnest($1::uuid[], $2::text[]) AS w (endpoint_id, line)
CROSS JOIN LATERAL (
  SELECT q.message_id FROM hookline_delivery AS q
  WHERE q.endpoint_id = w.endpoint_id AND q.line = w.line AND q.line IS NOT NULL
  ORDER BY q.message_id LIMIT 1
) AS head
WHERE d.endpoint_id = w.endpoint_id AND d.message_id = head.message_id
  AND d.next_attempt_at = $4
