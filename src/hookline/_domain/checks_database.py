"""Judging the database: what slows it down, what will stop it, what it may lose."""

from collections.abc import Iterator

from hookline._domain.finding import Finding, number, ok, problem, size, span, warning
from hookline._domain.vitals import PostgresSigns, SqliteSigns, Transaction, Vitals
from hookline._said import Said, listed

SLOW_MS = 50
"""Milliseconds of one round trip; publishing takes three, and so does each batch of work."""
OLDEST_POSTGRES = 13
CLOCK_WARNING_MS, CLOCK_PROBLEM_MS = 2_000, 10_000
"""Leases last 30 s: clocks that differ by much of it end each other's leases too early."""
LONG_MS, VERY_LONG_MS = 5 * 60_000, 60 * 60_000
"""Milliseconds of an open transaction: a warning, a problem."""
MOST_DEAD_ROWS = 200_000
"""Claims slow down from here on: 0.8 million took them from 4 to 10 ms."""
CONNECTIONS_EACH = 12
"""Connections of one worker process at most."""
FULL = 0.85
MIB = 1 << 20
LITTLE_DISK, NO_DISK = 1024 * MIB, 100 * MIB
LARGE_WAL = 256 * MIB
WORTHWHILE = 64 * MIB
OLDEST_SQLITE = (3, 35)


def reach(vitals: Vitals) -> Finding:
    """Judge how fast the database answers."""
    trip = vitals.trip_ms
    text = Said(
        "{database}, a round trip takes {time}", database=vitals.database, time=_short(trip)
    )
    if trip < SLOW_MS:
        return ok("database", text)
    return warning(
        "database",
        text,
        Said("run the workers near the database: in its region, its zone, its network"),
    )


def _short(milliseconds: float) -> Said:
    """Return a short duration with the digits it needs."""
    if milliseconds < 10:  # noqa: PLR2004
        return Said("{milliseconds:.1f} ms", milliseconds=milliseconds)
    return span(milliseconds)


def schema(vitals: Vitals, migrated: bool) -> Finding:
    """Judge the schema's version. `migrated`: a start brings it up to date by itself."""
    found = vitals.pulse.schema
    if found.current:
        return ok("schema", found.state)
    if migrated and not found.ahead:
        advice = Said("the next start migrates it, or: hookline migrate")
        return warning("schema", found.state, advice)
    return problem("schema", found.state, found.remedy)


# PostgreSQL ----------------------------------------------------------------------------------


def postgres(signs: PostgresSigns, *, delivering: bool) -> Iterator[Finding]:
    """Judge a PostgreSQL server."""
    yield server(signs)
    yield clock(signs)
    yield durability(signs)
    yield transactions(signs)
    yield autovacuum(signs)
    yield dead_rows(signs)
    yield partitions(signs, delivering=delivering)
    yield connections(signs)


def server(signs: PostgresSigns) -> Finding:
    """Judge whether it is a server to write to, and one that is still maintained."""
    version = f"PostgreSQL {signs.version // 10_000}.{signs.version % 10_000}"
    if signs.standby:
        return problem(
            "server",
            Said("{version}, a standby that takes no writes", version=version),
            Said("give HOOKLINE_DATABASE the address of the primary"),
        )
    if signs.version // 10_000 < OLDEST_POSTGRES:
        advice = Said("update it: tested from {oldest} on", oldest=OLDEST_POSTGRES)
        return warning("server", version, advice)
    return ok("server", version)


def clock(signs: PostgresSigns) -> Finding:
    """Judge whether the machines agree on the time."""
    off = abs(signs.clock_off_ms)
    if off <= CLOCK_WARNING_MS:
        text = Said("the server's is within {time} of this machine's", time=span(max(off, 1)))
        return ok("clock", text)
    level = problem if off > CLOCK_PROBLEM_MS else warning
    return level(
        "clock",
        Said("the server's is {time} ahead of this machine's", time=span(off))
        if signs.clock_off_ms > 0
        else Said("the server's is {time} behind this machine's", time=span(off)),
        Said("let NTP set both; with clocks that differ, leases end early and webhooks repeat"),
    )


def durability(signs: PostgresSigns) -> Finding:
    """Judge whether committed means on the disk."""
    if signs.fsync:
        return ok("durability", Said("commits reach the disk"))
    return problem(
        "durability",
        Said("fsync is off: a crash of the server loses what was published, or the whole database"),
        Said("fsync = on in postgresql.conf, then reload"),
    )


def transactions(signs: PostgresSigns) -> Finding:
    """Judge whether something keeps dead rows from being removed."""
    many = len(signs.holding_back)
    if not many:
        return ok("transactions", _seen(Said("none open for long"), signs))
    ages = [t.age_ms for t in signs.holding_back if t.age_ms is not None]
    oldest = max(ages, default=0)
    level = problem if oldest >= VERY_LONG_MS else warning
    what = (
        Said("{count:,} hold back vacuum, the oldest for {age}", count=many, age=span(oldest))
        if ages
        else Said("{count:,} hold back vacuum", count=many)
    )
    return level(
        "transactions",
        Said("{what}: claims get slower and slower", what=_seen(what, signs)),
        Said("end them, and set idle_in_transaction_session_timeout for their role"),
        map(_transaction, signs.holding_back),
    )


def _seen(what: Said, signs: PostgresSigns) -> Said:
    """Add how many sessions could not be looked at."""
    if not signs.hidden_sessions:
        return what
    hidden = Said(
        "{sessions} of other roles not shown (GRANT pg_read_all_stats)",
        sessions=number(signs.hidden_sessions, "session"),
    )
    return Said("{what}; {more}", what=what, more=hidden)


def _transaction(found: Transaction) -> Said:
    if found.age_ms is None:
        return Said("{what}: {end}", what=found.what, end=found.end)
    age = span(found.age_ms)
    return Said("{what}, for {age}: {end}", what=found.what, age=age, end=found.end)


def autovacuum(signs: PostgresSigns) -> Finding:
    """Judge whether anybody cleans up."""
    if not signs.autovacuum:
        return problem(
            "autovacuum",
            Said("autovacuum is off for the whole server"),
            Said("autovacuum = on (and track_counts = on) in postgresql.conf, then reload"),
        )
    if signs.autovacuum_off_for:
        return warning(
            "autovacuum",
            Said("autovacuum is off for {tables}", tables=listed(signs.autovacuum_off_for)),
            "ALTER TABLE … RESET (autovacuum_enabled)",
        )
    return ok("autovacuum", Said("on"))


def dead_rows(signs: PostgresSigns) -> Finding:
    """Judge whether the queue is clean."""
    text = Said(
        "{dead} beside {live:,} live ones in the queue",
        dead=number(signs.dead_rows, "dead row"),
        live=signs.live_rows,
    )
    if signs.dead_rows < max(MOST_DEAD_ROWS, signs.live_rows):
        return ok("dead-rows", text)
    return warning(
        "dead-rows",
        text,
        Said(
            "see that nothing holds vacuum back, then: VACUUM hookline_delivery, hookline_outbox; "
            "the workers do it themselves when their role owns the tables"
        ),
    )


def partitions(signs: PostgresSigns, *, delivering: bool) -> Finding:
    """Judge whether the log has its days."""
    if signs.stray_days:
        return warning(
            "partitions",
            Said("log lines lie in hookline_attempt_rest, outside of the days' partitions"),
            Said(
                "they were written by a machine whose clock was wrong (NTP?), or while nothing "
                "looked after the partitions for days. Retention removes them when their time has "
                "come"
            ),
            signs.stray_days,
        )
    if signs.missing_days:
        advice = (
            Said(
                "look for 'Trouble while pruning' in the log of the workers; their role must own "
                "hookline_attempt"
            )
            if delivering
            else Said("made when an application or a worker starts: hookline worker")
        )
        level = problem if delivering else warning
        days = listed(signs.missing_days)
        return level("partitions", Said("no partition of the log for {days}", days=days), advice)
    return ok("partitions", Said("the log has them for today and the next days"))


def connections(signs: PostgresSigns) -> Finding:
    """Judge whether there is room for more workers."""
    used, most = signs.connections, signs.max_connections
    text = Said("{used:,} of {most:,} connections in use", used=used, most=most)
    if most - used >= CONNECTIONS_EACH and used < most * FULL:
        return ok("connections", text)
    return warning(
        "connections",
        text,
        Said(
            "each process takes up to {most}: raise max_connections, use fewer processes, or end "
            "what is idle",
            most=CONNECTIONS_EACH,
        ),
    )


# SQLite --------------------------------------------------------------------------------------


def sqlite(signs: SqliteSigns) -> Iterator[Finding]:
    """Judge a database file."""
    yield library(signs)
    yield file(signs)
    yield journal(signs)
    yield disk(signs)
    yield wal(signs)
    yield free_pages(signs)


def library(signs: SqliteSigns) -> Finding:
    """Judge whether SQLite itself is new enough."""
    version = tuple(int(part) for part in signs.version.split(".")[:2])
    if version >= OLDEST_SQLITE:
        return ok("server", f"SQLite {signs.version}")
    oldest = ".".join(map(str, OLDEST_SQLITE))
    advice = Said("use a Python with {oldest} or newer", oldest=oldest)
    return problem("server", f"SQLite {signs.version}", advice)


def file(signs: SqliteSigns) -> Finding:
    """Judge whether the file is where SQLite's locks work, and may be written."""
    if signs.not_writable:
        return problem(
            "file",
            Said("this account may not write to {path}", path=signs.not_writable),
            Said(
                "chown it to the account the application and the workers run as; SQLite also makes "
                "files beside it (-wal, -shm)"
            ),
        )
    if signs.filesystem:
        return problem(
            "file",
            Said(
                "{path} is on a network file system ({kind})",
                path=signs.path,
                kind=signs.filesystem,
            ),
            Said(
                "move it to a local disk, or use PostgreSQL: SQLite's locks do not hold there, and "
                "the file gets damaged"
            ),
        )
    text = Said("{path}, {size}, on a local disk", path=signs.path, size=size(signs.size))
    return ok("file", text)


def journal(signs: SqliteSigns) -> Finding:
    """Judge whether it is in WAL mode."""
    if signs.journal == "wal":
        return ok("journal", Said("WAL mode"))
    return warning(
        "journal",
        Said(
            "the file is in {mode} mode, in which readers and writers block each other",
            mode=signs.journal,
        ),
        Said(
            "the next start switches it to WAL; should it not stay, something else sets "
            "journal_mode"
        ),
    )


def disk(signs: SqliteSigns) -> Finding:
    """Judge whether there is room."""
    text = Said("{size} free on its disk", size=size(signs.disk_free))
    if signs.disk_free >= LITTLE_DISK:
        return ok("disk", text)
    level = problem if signs.disk_free < NO_DISK else warning
    return level(
        "disk",
        text,
        Said("make room, or keep less: HOOKLINE_RETENTION_PAYLOADS, HOOKLINE_RETENTION_ATTEMPTS"),
    )


def wal(signs: SqliteSigns) -> Finding:
    """Judge whether the write-ahead log is written back."""
    if signs.wal < LARGE_WAL:
        return ok("wal", Said("{size} not written back yet", size=size(signs.wal)))
    return warning(
        "wal",
        Said("{size} could not be written back into the file", size=size(signs.wal)),
        Said("some connection holds a transaction open: find it, or restart what uses the file"),
    )


def free_pages(signs: SqliteSigns) -> Finding:
    """Judge whether the file is much larger than what is in it."""
    unused, whole = size(signs.free_pages), size(signs.size)
    text = Said("{unused} of {whole} unused", unused=unused, whole=whole)
    if signs.free_pages < max(WORTHWHILE, signs.size // 2):
        return ok("free-pages", text)
    advice = (
        Said("given back bit by bit as old messages are removed; at once: sqlite3 FILE VACUUM")
        if signs.incremental
        else Said("sqlite3 FILE 'PRAGMA auto_vacuum=INCREMENTAL; VACUUM', with everything stopped")
    )
    return warning("free-pages", text, advice)
