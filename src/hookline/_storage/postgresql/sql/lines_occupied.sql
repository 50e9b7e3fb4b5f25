SELECT w.endpoint_id, w.line
FROM unnest($1::uuid[], $2::text[]) AS w (endpoint_id, line)
WHERE EXISTS (
  SELECT 1 FROM hookline_delivery AS d
  WHERE d.endpoint_id = w.endpoint_id AND d.line = w.line AND d.line IS NOT NULL
)
