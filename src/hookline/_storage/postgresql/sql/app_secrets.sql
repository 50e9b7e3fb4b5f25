-- Newest first: keys are ordered by time.
SELECT s.endpoint_id, s.id, s.secret, s.expires_at
FROM hookline_endpoint_secret AS s
JOIN hookline_endpoint AS e ON e.id = s.endpoint_id
WHERE e.app_id = $1
ORDER BY s.id DESC
