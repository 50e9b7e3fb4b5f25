SELECT EXISTS (
  SELECT 1 FROM hookline_delivery WHERE endpoint_id = ? AND line = ? AND line IS NOT NULL
)
