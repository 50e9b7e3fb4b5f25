SELECT w.endpoint_id, (
  SELECT d.next_attempt_at FROM hookline_delivery AS d
  WHERE d.endpoint_id = w.endpoint_id AND d.next_attempt_at > $2
  ORDER BY d.next_attempt_at LIMIT 1
) AS next_due
FROM unnest($1::uuid[]) AS w (endpoint_id)
