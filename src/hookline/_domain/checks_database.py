"""Judging the database: what slows it down, what will stop it, what it may lose."""

from collections.abc import Iterator

from hookline._domain.finding import Finding, listed, number, ok, problem, size, span, warning
from hookline._domain.vitals import PostgresSigns, SqliteSigns, Transaction, Vitals

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
    text = f"{vitals.database}, a round trip takes {_short(trip)}"
    if trip < SLOW_MS:
        return ok("database", text)
    return warning(
        "database",
        text,
        "run the workers near the database: in its region, its zone, its network",
    )


def _short(milliseconds: float) -> str:
    """Return a short duration with the digits it needs."""
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else span(milliseconds)  # noqa: PLR2004


def schema(vitals: Vitals, migrated: bool) -> Finding:
    """Judge the schema's version. `migrated`: a start brings it up to date by itself."""
    found = vitals.pulse.schema
    if found.current:
        return ok("schema", str(found))
    if migrated and not found.ahead:
        return warning("schema", str(found), "the next start migrates it, or: hookline migrate")
    return problem("schema", str(found), found.remedy)


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
            f"{version}, a standby that takes no writes",
            "give HOOKLINE_DATABASE the address of the primary",
        )
    if signs.version // 10_000 < OLDEST_POSTGRES:
        return warning("server", version, f"update it: tested from {OLDEST_POSTGRES} on")
    return ok("server", version)


def clock(signs: PostgresSigns) -> Finding:
    """Judge whether the machines agree on the time."""
    off = abs(signs.clock_off_ms)
    text = f"{span(off)} {'ahead of' if signs.clock_off_ms > 0 else 'behind'} this machine's"
    if off <= CLOCK_WARNING_MS:
        return ok("clock", f"the server's is within {span(max(off, 1))} of this machine's")
    level = problem if off > CLOCK_PROBLEM_MS else warning
    return level(
        "clock",
        f"the server's is {text}",
        "let NTP set both; with clocks that differ, leases end early and webhooks repeat",
    )


def durability(signs: PostgresSigns) -> Finding:
    """Judge whether committed means on the disk."""
    if signs.fsync:
        return ok("durability", "commits reach the disk")
    return problem(
        "durability",
        "fsync is off: a crash of the server loses what was published, or the whole database",
        "fsync = on in postgresql.conf, then reload",
    )


def transactions(signs: PostgresSigns) -> Finding:
    """Judge whether something keeps dead rows from being removed."""
    hidden = (
        f"; {number(signs.hidden_sessions, 'session')} of other roles not shown "
        "(GRANT pg_read_all_stats)"
        if signs.hidden_sessions
        else ""
    )
    if not signs.holding_back:
        return ok("transactions", f"none open for long{hidden}")
    ages = [t.age_ms for t in signs.holding_back if t.age_ms is not None]
    oldest = max(ages, default=0)
    age = f", the oldest for {span(oldest)}" if ages else ""
    level = problem if oldest >= VERY_LONG_MS else warning
    return level(
        "transactions",
        f"{len(signs.holding_back):,} hold back vacuum{age}{hidden}: claims get slower and slower",
        "end them, and set idle_in_transaction_session_timeout for their role",
        map(_transaction, signs.holding_back),
    )


def _transaction(found: Transaction) -> str:
    age = "" if found.age_ms is None else f", for {span(found.age_ms)}"
    return f"{found.what}{age}: {found.end}"


def autovacuum(signs: PostgresSigns) -> Finding:
    """Judge whether anybody cleans up."""
    if not signs.autovacuum:
        return problem(
            "autovacuum",
            "autovacuum is off for the whole server",
            "autovacuum = on (and track_counts = on) in postgresql.conf, then reload",
        )
    if signs.autovacuum_off_for:
        tables = listed(signs.autovacuum_off_for)
        return warning(
            "autovacuum",
            f"autovacuum is off for {tables}",
            "ALTER TABLE … RESET (autovacuum_enabled)",
        )
    return ok("autovacuum", "on")


def dead_rows(signs: PostgresSigns) -> Finding:
    """Judge whether the queue is clean."""
    text = (
        f"{number(signs.dead_rows, 'dead row')} beside {signs.live_rows:,} live ones in the queue"
    )
    if signs.dead_rows < max(MOST_DEAD_ROWS, signs.live_rows):
        return ok("dead-rows", text)
    return warning(
        "dead-rows",
        text,
        "see that nothing holds vacuum back, then: VACUUM hookline_delivery, hookline_outbox; the "
        "workers do it themselves when their role owns the tables",
    )


def partitions(signs: PostgresSigns, *, delivering: bool) -> Finding:
    """Judge whether the log has its days."""
    if signs.stray_days:
        return warning(
            "partitions",
            "log lines lie in hookline_attempt_rest, outside of the days' partitions",
            "they were written by a machine whose clock was wrong (NTP?), or while nothing looked "
            "after the partitions for days. Retention removes them when their time has come",
            signs.stray_days,
        )
    if signs.missing_days:
        advice = (
            "look for 'Trouble while pruning' in the log of the workers; their role must own "
            "hookline_attempt"
            if delivering
            else "made when an application or a worker starts: hookline worker"
        )
        level = problem if delivering else warning
        return level(
            "partitions", f"no partition of the log for {listed(signs.missing_days)}", advice
        )
    return ok("partitions", "the log has them for today and the next days")


def connections(signs: PostgresSigns) -> Finding:
    """Judge whether there is room for more workers."""
    used, most = signs.connections, signs.max_connections
    text = f"{used:,} of {most:,} connections in use"
    if most - used >= CONNECTIONS_EACH and used < most * FULL:
        return ok("connections", text)
    return warning(
        "connections",
        text,
        f"each process takes up to {CONNECTIONS_EACH}: raise max_connections, use fewer "
        "processes, or end what is idle",
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
    return problem("server", f"SQLite {signs.version}", f"use a Python with {oldest} or newer")


def file(signs: SqliteSigns) -> Finding:
    """Judge whether the file is where SQLite's locks work, and may be written."""
    if signs.not_writable:
        return problem(
            "file",
            f"this account may not write to {signs.not_writable}",
            "chown it to the account the application and the workers run as; SQLite also makes "
            "files beside it (-wal, -shm)",
        )
    if signs.filesystem:
        return problem(
            "file",
            f"{signs.path} is on a network file system ({signs.filesystem})",
            "move it to a local disk, or use PostgreSQL: SQLite's locks do not hold there, and the "
            "file gets damaged",
        )
    return ok("file", f"{signs.path}, {size(signs.size)}, on a local disk")


def journal(signs: SqliteSigns) -> Finding:
    """Judge whether it is in WAL mode."""
    if signs.journal == "wal":
        return ok("journal", "WAL mode")
    return warning(
        "journal",
        f"the file is in {signs.journal} mode, in which readers and writers block each other",
        "the next start switches it to WAL; should it not stay, something else sets journal_mode",
    )


def disk(signs: SqliteSigns) -> Finding:
    """Judge whether there is room."""
    text = f"{size(signs.disk_free)} free on its disk"
    if signs.disk_free >= LITTLE_DISK:
        return ok("disk", text)
    level = problem if signs.disk_free < NO_DISK else warning
    return level(
        "disk",
        text,
        "make room, or keep less: HOOKLINE_RETENTION_PAYLOADS, HOOKLINE_RETENTION_ATTEMPTS",
    )


def wal(signs: SqliteSigns) -> Finding:
    """Judge whether the write-ahead log is written back."""
    if signs.wal < LARGE_WAL:
        return ok("wal", f"{size(signs.wal)} not written back yet")
    return warning(
        "wal",
        f"{size(signs.wal)} could not be written back into the file",
        "some connection holds a transaction open: find it, or restart what uses the file",
    )


def free_pages(signs: SqliteSigns) -> Finding:
    """Judge whether the file is much larger than what is in it."""
    text = f"{size(signs.free_pages)} of {size(signs.size)} unused"
    if signs.free_pages < max(WORTHWHILE, signs.size // 2):
        return ok("free-pages", text)
    advice = (
        "given back bit by bit as old messages are removed; at once: sqlite3 FILE VACUUM"
        if signs.incremental
        else "sqlite3 FILE 'PRAGMA auto_vacuum=INCREMENTAL; VACUUM', with everything stopped"
    )
    return warning("free-pages", text, advice)
