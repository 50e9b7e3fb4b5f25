SELECT EXISTS (SELECT 1 FROM hookline_endpoint WHERE ordered)
