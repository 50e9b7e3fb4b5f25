SELECT endpoint_id, id, secret, expires_at
FROM hookline_endpoint_secret
WHERE endpoint_id = ANY ($1::uuid[])
ORDER BY id DESC
