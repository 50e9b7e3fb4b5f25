SELECT EXISTS (SELECT 1 FROM hookline_circuit)
