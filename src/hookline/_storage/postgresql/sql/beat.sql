INSERT INTO hookline_worker (id, host, pid, started_at, seen_at)
VALUES ($1, $2, $3, (extract(epoch FROM now()) * 1000)::bigint,
        (extract(epoch FROM now()) * 1000)::bigint)
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at
