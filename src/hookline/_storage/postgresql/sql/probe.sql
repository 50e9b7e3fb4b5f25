-- One worker wins: the others find the condition false once they have the row.
UPDATE hookline_circuit SET state = 'half_open', blocked_until = $2
WHERE endpoint_id = $1 AND state <> 'closed' AND blocked_until <= $3
RETURNING endpoint_id
