DELETE FROM hookline_worker
WHERE id = $1 OR seen_at < (extract(epoch FROM now()) * 1000)::bigint - 3600000
