SELECT revision FROM hookline_application WHERE id = ?
