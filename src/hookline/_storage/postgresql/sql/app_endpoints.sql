SELECT
  id, revision, url, headers, credentials, options, retry_schedule, timeout, concurrency, rate_limit,
  ordered, disabled_reason, disabled_at, events, granted_origin, granted_rate, app_id,
  (SELECT rate_limit FROM hookline_application WHERE id = app_id) AS app_rate,
  EXISTS (SELECT 1 FROM hookline_handshake WHERE endpoint_id = hookline_endpoint.id) AS pending
FROM hookline_endpoint
WHERE app_id = $1
ORDER BY id
