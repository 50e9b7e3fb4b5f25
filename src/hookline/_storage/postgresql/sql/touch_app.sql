UPDATE hookline_application SET revision = revision + 1
WHERE id = (SELECT app_id FROM hookline_endpoint WHERE id = $1)
