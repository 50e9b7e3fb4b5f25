REPLACE INTO hookline_circuit
  (endpoint_id, state, failures, failed, failing_since, opened, blocked_until, ramp, warned)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
