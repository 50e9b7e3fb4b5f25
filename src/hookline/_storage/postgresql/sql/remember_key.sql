-- Returns nothing when the key is in use; an expired one is taken over.
INSERT INTO hookline_idempotency (app_id, key, message_id, digest, expires_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (app_id, key) DO UPDATE
SET message_id = excluded.message_id, digest = excluded.digest, expires_at = excluded.expires_at
WHERE hookline_idempotency.expires_at <= $6
RETURNING message_id
