INSERT INTO hookline_circuit
  (endpoint_id, state, failures, failed, failing_since, opened, blocked_until, ramp, warned)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (endpoint_id) DO UPDATE SET
  state = excluded.state, failures = excluded.failures, failed = excluded.failed,
  failing_since = excluded.failing_since, opened = excluded.opened,
  blocked_until = excluded.blocked_until, ramp = excluded.ramp, warned = excluded.warned
