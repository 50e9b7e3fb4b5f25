SELECT state, failures, failed, failing_since, opened, blocked_until, ramp, warned
FROM hookline_circuit
WHERE endpoint_id = ?
