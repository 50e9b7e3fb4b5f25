-- By the database's clock: those of the workers may differ.
SELECT id FROM hookline_worker
WHERE seen_at > (extract(epoch FROM now()) * 1000)::bigint - $1
ORDER BY id
