SELECT
  id, revision, url, headers, credentials, options, retry_schedule, timeout, concurrency, rate_limit,
  ordered, disabled_reason, disabled_at, events
FROM hookline_endpoint
WHERE app_id = $1
ORDER BY id
