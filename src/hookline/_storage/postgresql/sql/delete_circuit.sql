DELETE FROM hookline_circuit WHERE endpoint_id = $1
