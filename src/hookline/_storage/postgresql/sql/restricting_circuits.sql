SELECT endpoint_id, state, failures, failed, failing_since, opened, blocked_until, ramp, warned
FROM hookline_circuit
WHERE blocked_until > 0 OR ramp > 0
