-- A loose index scan: from endpoint to endpoint, each with the time its first delivery falls due.
-- Two seeks per endpoint, however many rows an endpoint has.
WITH RECURSIVE turn (endpoint_id, n) AS (
  SELECT (SELECT min(endpoint_id) FROM hookline_delivery WHERE endpoint_id > :after), 1
  UNION ALL
  SELECT
    (SELECT min(d.endpoint_id) FROM hookline_delivery AS d WHERE d.endpoint_id > t.endpoint_id),
    t.n + 1
  FROM turn AS t
  WHERE t.endpoint_id IS NOT NULL AND t.n < :most
)
SELECT
  t.endpoint_id,
  (SELECT min(d.next_attempt_at) FROM hookline_delivery AS d WHERE d.endpoint_id = t.endpoint_id)
FROM turn AS t
WHERE t.endpoint_id IS NOT NULL
