"""Looking at a PostgreSQL server: what holds back vacuum, what runs out, what is missing."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from hookline._domain.checks_database import LONG_MS
from hookline._domain.vitals import PostgresSigns, Transaction, WorkerSigns
from hookline._said import Said
from hookline._storage.postgresql import partitions

REST = f"{partitions.TABLE}_rest"
STRAYS = 1000
"""Rows looked at in the partition for the rest."""

_WORKERS = sa.text("""
SELECT host, pid, greatest(0, (extract(epoch FROM clock_timestamp()) * 1000)::bigint - seen_at)
FROM hookline_worker
ORDER BY host, pid
""")
_SERVER = sa.text("""
SELECT
  current_setting('server_version_num')::int AS version,
  pg_is_in_recovery() AS standby,
  current_setting('fsync') = 'on' AS fsync,
  current_setting('autovacuum') = 'on' AND current_setting('track_counts') = 'on' AS autovacuum,
  current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int AS max_connections,
  (SELECT coalesce(sum(numbackends), 0)::int FROM pg_stat_database) AS connections
""")
_CLOCK = sa.text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
_TRANSACTIONS = sa.text("""
SELECT
  pid, usename, application_name, state,
  (extract(epoch FROM clock_timestamp() - xact_start) * 1000)::bigint AS age
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)
  AND backend_type = 'client backend'
  AND xact_start < clock_timestamp() - make_interval(secs => :seconds)
ORDER BY xact_start
""")
# What a role without pg_read_all_stats sees of the sessions of others.
_HIDDEN = sa.text("""
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND query = '<insufficient privilege>'
""")
_PREPARED = sa.text("""
SELECT gid, owner, (extract(epoch FROM clock_timestamp() - prepared) * 1000)::bigint AS age
FROM pg_prepared_xacts
WHERE database = current_database()
  AND prepared < clock_timestamp() - make_interval(secs => :seconds)
ORDER BY prepared
""")
_SLOTS = sa.text("""
SELECT slot_name FROM pg_replication_slots WHERE xmin IS NOT NULL AND NOT active ORDER BY slot_name
""")
_AUTOVACUUM_OFF = sa.text("""
SELECT relname FROM pg_class
WHERE relname IN ('hookline_delivery', 'hookline_outbox') AND relkind = 'r'
  AND reloptions && ARRAY['autovacuum_enabled=false', 'autovacuum_enabled=off']
ORDER BY relname
""")
_ROWS = sa.text("""
SELECT coalesce(sum(n_dead_tup), 0)::bigint, coalesce(sum(n_live_tup), 0)::bigint
FROM pg_stat_user_tables WHERE relname IN ('hookline_delivery', 'hookline_outbox')
""")


def workers(connection: sa.Connection) -> list[WorkerSigns]:
    """Return who signed on and did not sign off, by the database's clock."""
    return [WorkerSigns(*row) for row in connection.execute(_WORKERS)]


def signs(connection: sa.Connection, now: Callable[[], int]) -> PostgresSigns:
    """Return what the doctor wants to know of the server."""
    server = connection.execute(_SERVER).one()
    dead, live = connection.execute(_ROWS).one()
    missing, stray = _days(connection, now())
    return PostgresSigns(
        version=server.version,
        clock_off_ms=_clock_off(connection, now),
        standby=server.standby,
        fsync=server.fsync,
        autovacuum=server.autovacuum,
        autovacuum_off_for=tuple(connection.execute(_AUTOVACUUM_OFF).scalars()),
        holding_back=tuple(_holding_back(connection)),
        hidden_sessions=connection.scalar(_HIDDEN) or 0,
        dead_rows=dead,
        live_rows=live,
        missing_days=missing,
        stray_days=stray,
        max_connections=server.max_connections,
        connections=server.connections,
    )


def _clock_off(connection: sa.Connection, now: Callable[[], int]) -> int:
    """Return how far the server's clock is ahead, as exactly as a round trip allows."""
    best, off = None, 0
    for _ in range(3):
        before = now()
        theirs = connection.scalar(_CLOCK) or 0
        after = now()
        if best is None or after - before < best:
            best, off = after - before, theirs - (before + after) // 2
    return off


def _holding_back(connection: sa.Connection) -> Iterator[Transaction]:
    long = {"seconds": LONG_MS / 1000}
    for pid, user, application, state, age in connection.execute(_TRANSACTIONS, long):
        who = f"{user} ({application})" if application else user
        end = f"SELECT pg_terminate_backend({pid})"
        what = Said("pid {pid} of {who}, {state}", pid=pid, who=who, state=state)
        yield Transaction(what, age, end)
    for gid, owner, age in connection.execute(_PREPARED, long):
        name = gid.replace("'", "''")
        what = Said("prepared transaction of {owner}", owner=owner)
        yield Transaction(what, age, f"ROLLBACK PREPARED '{name}'")
    for slot in connection.execute(_SLOTS).scalars():
        end = f"SELECT pg_drop_replication_slot('{slot}')"
        yield Transaction(Said("a replication slot nobody reads from"), None, end)


def _days(connection: sa.Connection, now: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which days have no partition of the log, and which days' lines went astray."""
    if not sa.inspect(connection).has_table(REST):
        return (), ()
    strays = connection.execute(sa.text(f"SELECT id FROM {REST} LIMIT {STRAYS}")).scalars()  # noqa: S608
    stray = {datetime.fromtimestamp((key.int >> 80) / 1000, UTC).date() for key in strays}
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    has_table = sa.inspect(connection).has_table
    missing = [
        str(day)
        for day in (today, today + timedelta(days=1))
        # A day that has rows among the rest stays there.
        if day not in stray and not has_table(f"{partitions.TABLE}_{day:%Y%m%d}")
    ]
    return tuple(missing), tuple(map(str, sorted(stray)))
