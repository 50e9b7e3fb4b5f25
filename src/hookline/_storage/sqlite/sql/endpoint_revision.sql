SELECT revision FROM hookline_endpoint WHERE id = ?
