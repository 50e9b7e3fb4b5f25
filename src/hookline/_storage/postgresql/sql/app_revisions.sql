SELECT id, revision FROM hookline_application WHERE id = ANY ($1::uuid[])
