SELECT id, revision FROM hookline_endpoint WHERE id = ANY ($1::uuid[])
