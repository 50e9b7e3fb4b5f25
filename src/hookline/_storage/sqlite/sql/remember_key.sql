-- Returns nothing when the key is in use; an expired one is taken over.
INSERT INTO hookline_idempotency (app_id, key, message_id, digest, expires_at)
VALUES (:app, :key, :message, :digest, :expires_at)
ON CONFLICT (app_id, key) DO UPDATE
SET message_id = excluded.message_id, digest = excluded.digest, expires_at = excluded.expires_at
WHERE hookline_idempotency.expires_at <= :now
RETURNING message_id
