-- A loose index scan: from endpoint to endpoint, each with the time its first delivery falls due.
-- Two seeks per endpoint, however many rows an endpoint has.
WITH RECURSIVE turn (endpoint_id, n) AS (
  (
    SELECT endpoint_id, 1 FROM hookline_delivery
    WHERE endpoint_id > $1 ORDER BY endpoint_id LIMIT 1
  )
  UNION ALL
  SELECT
    (
      SELECT d.endpoint_id FROM hookline_delivery AS d
      WHERE d.endpoint_id > t.endpoint_id ORDER BY d.endpoint_id LIMIT 1
    ),
    t.n + 1
  FROM turn AS t
  WHERE t.endpoint_id IS NOT NULL AND t.n < $2
)
SELECT
  t.endpoint_id,
  (
    SELECT d.next_attempt_at FROM hookline_delivery AS d
    WHERE d.endpoint_id = t.endpoint_id ORDER BY d.next_attempt_at LIMIT 1
  ) AS first_due
FROM turn AS t
WHERE t.endpoint_id IS NOT NULL
