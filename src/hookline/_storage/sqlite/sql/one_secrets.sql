SELECT endpoint_id, id, secret, expires_at
FROM hookline_endpoint_secret
WHERE endpoint_id = ?
ORDER BY id DESC
