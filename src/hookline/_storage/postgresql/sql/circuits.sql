SELECT endpoint_id, state, failures, failed, failing_since, opened, blocked_until, ramp, warned
FROM hookline_circuit
WHERE endpoint_id = ANY ($1::uuid[])
ORDER BY endpoint_id
FOR UPDATE
