"""The doctor: what it finds in a deployment, what it says to do, and that it changes nothing."""

import asyncio
import json
import secrets
import socket
import sqlite3
import ssl
import time
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from typer.testing import CliRunner

from hookline import Webhooks
from hookline._domain import checks_database, checks_delivery, readiness
from hookline._domain.address import Policy
from hookline._domain.breaker import Circuit, CircuitState
from hookline._domain.finding import Level, number, shortened, size, span, worst
from hookline._domain.readiness import OK
from hookline._domain.vitals import (
    ALIVE_MS,
    EndpointSigns,
    PostgresSigns,
    Pulse,
    Schema,
    SqliteSigns,
    Transaction,
    Vitals,
    WorkerSigns,
)
from hookline._sending.certificates import terms
from hookline._sending.probe import probe
from hookline._storage.postgresql import queue as postgresql_queue
from hookline._storage.schema import HELD
from hookline._storage.sqlite.doctor import network_filesystem
from hookline.cli import app
from hookline.testing import FakeClock, Receiver

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
HERE = Policy.of(development=True)
NOW = 1_760_697_000_000
CURRENT = Schema("0001", "0001")
CERTIFICATE = Path(__file__).parents[1] / "vectors" / "self_signed.pem"


def by_check(findings):
    return {finding.check: finding for finding in findings}


def bad(findings):
    return {finding.check: finding for finding in findings if finding.level != "ok"}


def execute(url, *statements):
    """Run statements, each in a transaction of its own, on either database."""

    async def run():
        engine = create_async_engine(
            url.replace("sqlite:", "sqlite+aiosqlite:"), poolclass=NullPool
        )
        for statement in statements:
            async with engine.begin() as connection:
                await connection.exec_driver_sql(statement)
        await engine.dispose()

    asyncio.run(run())


# A whole deployment ------------------------------------------------------------------------------


async def test_a_healthy_deployment(on_each_database, receiver):
    """A running engine whose webhooks arrive: nothing to say but that secrets are not encrypted."""
    webhooks = on_each_database()
    webhooks.register(receiver.url, ["*"], secret="your-secret-key")
    await (await webhooks.trigger("order.paid", {})).delivered()
    findings = await webhooks.diagnose(probe=True)
    # The tests' server does not sync to a disk, which is worth a word anywhere else.
    found = {c: f for c, f in bad(findings).items() if c != "durability"}
    assert set(found) == {"secrets"}
    assert found["secrets"].level == "warning"
    assert "1 stored secret is unencrypted" in found["secrets"].summary
    assert "HOOKLINE_ENCRYPTION_KEY" in found["secrets"].advice
    assert by_check(findings)["workers"].level == "ok"
    assert by_check(findings)["reachable"].summary == "1 endpoint can be connected to"


async def test_nobody_delivers(on_each_database, receiver):
    """What was published and not taken up is a problem when no worker runs."""
    clock = FakeClock()
    webhooks = on_each_database(deliver=False, clock=clock)
    webhooks.register(receiver.url, ["*"], secret="your-secret-key")
    await webhooks.start()
    assert bad(await webhooks.diagnose())["workers"].level == "warning"
    for _ in range(3):
        await webhooks.trigger("order.paid", {})
    clock.advance(90)
    found = bad(await webhooks.diagnose())
    assert found["workers"].level == "problem"
    assert found["workers"].summary == "no worker is running; waiting: 3 new messages"
    assert "hookline worker" in found["workers"].advice
    assert found["unrouted"].summary == "3 messages not taken up, the oldest for 1 min"


async def test_what_waits_at_endpoints(on_each_database, receiver, clock):
    """Held, due and failing deliveries are counted by endpoint, each with what to do."""
    webhooks = on_each_database(clock=clock, retry_schedule=[0, 600, 600])
    for path, secret in (
        ("/held", "your-secret-key"),
        ("/failing", "your-secret-key"),
        ("/bare", None),
    ):
        webhooks.register(receiver.base + path, ["*"], secret=secret)
    receiver.answer(lambda received: 500 if received.path == "/failing" else 200)
    await webhooks.start()
    await webhooks.disable(receiver.base + "/held", "maintenance")
    for _ in range(2):
        await webhooks.trigger("order.paid", {})
    await asyncio.to_thread(receiver.wait_for, 4)
    await webhooks.stop()
    clock.advance(DAY / 1000 + 3600)

    looking = on_each_database(clock=clock, deliver=False)
    found = bad(await looking.diagnose())
    assert found["disabled"].summary == "1 disabled endpoint holds 2 deliveries"
    [held] = found["disabled"].items
    assert held == f"{receiver.base}/held: maintenance, 1 day 1 h ago; 2 held"
    assert "await webhooks.enable(url)" in found["disabled"].advice
    assert found["unsigned"].items == (f"{receiver.base}/bare",)
    [failing] = found["failing"].items
    assert failing.startswith(
        f"{receiver.base}/failing: no 2xx for 1 day 1 h, disabled in 3 days 2"
    )
    assert found["backlog"].level == "problem"
    assert found["backlog"].items[0].startswith(f"{receiver.base}/failing: 2 due, the oldest for ")
    assert "2 deliveries due" in found["workers"].summary


async def test_open_circuits(on_each_database, receiver, clock):
    """An endpoint that is left alone is named with since when and its next probe, and waits."""
    webhooks = on_each_database(clock=clock)
    webhooks.register(receiver.url, ["*"], secret="your-secret-key")
    receiver.answer(500)
    await webhooks.trigger_many([("order.paid", {"n": n}) for n in range(12)])
    await asyncio.to_thread(receiver.wait_for, 10)
    await webhooks.stop()
    clock.advance(10)
    found = bad(await on_each_database(clock=clock, deliver=False).diagnose())
    [item] = found["circuits"].items
    assert item.startswith(f"{receiver.url}: failing for 10 s, next probe in 20 s; ")
    assert "backlog" not in found


async def test_stuck_leases(on_each_database, database_url, receiver, clock):
    """Leases of a worker that died, which nobody takes again, are counted."""
    webhooks = on_each_database(clock=clock, lease=1)
    webhooks.register(receiver.url, ["*"], secret="your-secret-key")
    receiver.answer(500)
    await webhooks.trigger("order.paid", {})
    await asyncio.to_thread(receiver.wait_for, 1)
    await webhooks.stop()
    leased = f"UPDATE hookline_delivery SET lease = 7, next_attempt_at = {clock.now()}"  # noqa: S608
    await asyncio.to_thread(execute, database_url, leased)
    clock.advance(120)
    found = bad(await on_each_database(clock=clock, deliver=False).diagnose())
    assert found["leases"].summary.startswith("1 lease ran out more than a minute ago")
    assert found["leases"].items == (f"{receiver.url}: 1",)


def test_it_changes_nothing(tmp_path, monkeypatch):
    """Looking makes no file, no table, and switches no mode."""
    monkeypatch.chdir(tmp_path)
    [first, *_] = findings = asyncio.run(Webhooks(database="sqlite:///new.db").diagnose())
    assert (first.check, first.level) == ("database", "problem")
    assert "there is no such file yet" in first.summary
    assert [f.check for f in findings] == ["database", "open-files"]
    assert list(tmp_path.iterdir()) == []

    with closing(sqlite3.connect("mine.db")) as connection:
        connection.execute("CREATE TABLE mine (id INTEGER)")
    before = Path("mine.db").read_bytes()
    found = by_check(asyncio.run(Webhooks(database="sqlite:///mine.db").diagnose()))
    assert found["schema"].level == "warning"
    assert found["schema"].summary == "no Hookline tables yet, version 0001 is needed"
    assert "the next start migrates it" in found["schema"].advice
    assert found["journal"].summary.startswith("the file is in delete mode")
    assert Path("mine.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine.db"]


async def test_a_schema_that_is_not_current(on_each_database, database_url):
    """An old or newer schema is a finding of its own; what depends on the tables is not asked."""
    newer = "UPDATE hookline_version SET version_num = '9999'"
    await asyncio.to_thread(execute, database_url, newer)
    webhooks = on_each_database()
    found = by_check(await webhooks.diagnose())
    assert found["schema"].level == "problem"
    assert found["schema"].summary == "version 9999, this Hookline needs 0001"
    assert found["schema"].advice == "update Hookline here"
    assert "workers" not in found


async def test_a_database_out_of_reach(monkeypatch, tmp_path):
    """A database that does not answer is the first finding, with what to check, no password."""
    monkeypatch.chdir(tmp_path)
    webhooks = Webhooks(database="postgresql://u:geheim@127.0.0.1:1/shop")
    first, *_ = await webhooks.diagnose()
    assert first.level == "problem"
    assert first.summary == (
        "PostgreSQL database shop at 127.0.0.1:1: the connection was refused: is the server "
        "running, and listening there?"
    )


# The command -------------------------------------------------------------------------------------


@pytest.fixture
def doctor(monkeypatch, tmp_path):
    """Return a runner of `hookline doctor`: exit code and standard output."""
    monkeypatch.chdir(tmp_path)

    def doctor(*arguments, columns="120"):
        ended = CliRunner(env={"COLUMNS": columns}).invoke(app, ["doctor", *arguments])
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return ended.exit_code, ended.stdout

    return doctor


def test_exit_codes(doctor, database_file):
    """0 when all is well, 1 with warnings, 2 with problems; --strict makes warnings problems."""
    url = f"sqlite:///{database_file}"
    with closing(Webhooks(database=url)) as webhooks:
        asyncio.run(webhooks.start())
        code, out = doctor("--database", url)
        assert (code, out.count("\n")) == (0, 1)
        assert out.startswith("✓ all is well with SQLite ")
    code, out = doctor("--database", url)
    assert (code, doctor("--database", url, "--strict")[0]) == (1, 2)
    assert "no worker is running: what is published waits" in out
    assert doctor("--database", "postgresql://u@127.0.0.1:1/x")[0] == 2


def test_verbose_lists_every_check(doctor, database_file):
    """One line for each check that is ok, after what is not."""
    code, out = doctor("--database", f"sqlite:///{database_file}", "-v")
    lines = out.splitlines()
    assert code == 1
    assert lines[0].startswith("! workers ")
    assert lines[1].strip().startswith("→ start one: hookline worker")
    assert all(line.startswith("✓ ") for line in lines[2:])
    assert "✓ journal       WAL mode" in lines


def test_json(doctor, database_file):
    """The findings as data, for whatever watches over the deployment."""
    code, out = doctor("--database", f"sqlite:///{database_file}", "--json")
    document = json.loads(out)
    assert (code, document["level"]) == (1, "warning")
    workers = next(f for f in document["findings"] if f["check"] == "workers")
    assert set(workers) == {"check", "level", "summary", "advice", "items"}
    assert workers["level"] == "warning"


def test_outside_text_plays_no_tricks(doctor, database_file):
    """A reason with control characters is shown without them."""
    url = f"sqlite:///{database_file}"

    async def disable():
        async with Webhooks(database=url, deliver=False) as webhooks:
            webhooks.register("https://example.com/webhook", ["*"], secret="s3cret")
            await webhooks.start()
            await webhooks.disable("https://example.com/webhook", "\x1b[2J[red]gone[/red]")

    asyncio.run(disable())
    columns = "message_id, endpoint_id, attempts, step, lease, next_attempt_at"
    held = f"SELECT zeroblob(16), id, 0, 0, 0, {HELD} FROM hookline_endpoint"  # noqa: S608
    execute(url, f"INSERT INTO hookline_delivery ({columns}) {held}")
    _, out = doctor("--database", url)
    assert "\x1b" not in out
    assert "?[2J[red]gone[/red]" in out


def test_a_wrong_url(doctor):
    """Settings that cannot be used end it with 2, as a problem does."""
    assert doctor("--database", "mysql://u:geheim@h/x") == (2, "")


# PostgreSQL itself -------------------------------------------------------------------------------


async def diagnosed(url, **options):
    webhooks = Webhooks(database=url, deliver=False, **options)
    return by_check(await webhooks.diagnose())


@contextmanager
def transaction(url, application):
    """Keep a transaction open that has an id, as one that has written something."""
    named = {"server_settings": {"application_name": application}}

    async def begin():
        engine = create_async_engine(url, poolclass=NullPool, connect_args=named)
        connection = await engine.connect()
        await connection.execute(sa.text("SELECT pg_current_xact_id()"))
        return connection

    with asyncio.Runner() as runner:
        connection = runner.run(begin())
        try:
            yield
        finally:
            runner.run(connection.close())


def test_a_transaction_that_stays_open(postgres_url, monkeypatch, tmp_path):
    """What holds back vacuum is named: pid, role, application, age, and how to end it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hookline._storage.postgresql.doctor.LONG_MS", 0)
    with transaction(postgres_url, "nightly report"):
        found = asyncio.run(diagnosed(postgres_url))["transactions"]
    assert found.level == "warning"
    [item] = found.items
    assert "of postgres (nightly report), idle in transaction, for " in item
    assert "SELECT pg_terminate_backend(" in item
    assert "idle_in_transaction_session_timeout" in found.advice
    assert asyncio.run(diagnosed(postgres_url))["transactions"].level == "ok"


def test_other_roles_sessions(postgres, postgres_url, monkeypatch, tmp_path):
    """A role that may not see the sessions of others is told so, and gets the rest."""
    monkeypatch.chdir(tmp_path)
    role = f"hookline_reader_{secrets.token_hex(4)}"
    execute(
        postgres_url,
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
    )
    url = sa.make_url(postgres_url).set(username=role).render_as_string(hide_password=False)
    try:
        with transaction(postgres_url, "somebody else"):
            found = asyncio.run(diagnosed(url))
        assert "1 session of other roles not shown" in found["transactions"].summary
        assert found["workers"].level == "warning"
    finally:
        execute(postgres_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_role_that_may_not_read(postgres_url, monkeypatch, tmp_path):
    """Without rights on the tables, the finding says what is missing."""
    monkeypatch.chdir(tmp_path)
    role = f"hookline_nobody_{secrets.token_hex(4)}"
    execute(postgres_url, f"CREATE ROLE {role} LOGIN")
    url = sa.make_url(postgres_url).set(username=role).render_as_string(hide_password=False)
    try:
        found = asyncio.run(diagnosed(url))
        assert found["database"].level == "problem"
        assert f"{role} may not do that: GRANT it" in found["database"].summary
    finally:
        execute(postgres_url, f"DROP ROLE {role}")


async def test_partitions_of_the_log(postgres_url, monkeypatch, tmp_path):
    """Missing days, and log lines outside of any, are seen."""
    monkeypatch.chdir(tmp_path)
    found = await diagnosed(postgres_url, clock=FakeClock(NOW + 400 * DAY))
    assert found["partitions"].level == "warning"
    assert found["partitions"].summary.startswith("no partition of the log for 2026-11-21 and ")
    stray = UUID(int=NOW << 80)
    columns = "message_id, id, endpoint_id, number, trigger, started_at, url, state, detail, "
    columns += (
        "response_headers, response_body, dns_us, connect_us, tls_us, first_byte_us, total_us"
    )
    values = f"'{stray}', '{stray}', '{stray}', 1, 'scheduled', 0, '', 'succeeded', '', '[]', ''"
    insert = f"INSERT INTO hookline_attempt ({columns}) VALUES ({values}, 0, 0, 0, 0, 0)"  # noqa: S608
    await asyncio.to_thread(execute, postgres_url, insert)
    assert (await diagnosed(postgres_url))["partitions"].items == ("2025-10-17",)


async def test_a_clock_that_differs(postgres_url, monkeypatch, tmp_path):
    """More than two seconds between the machines is a warning, much more a problem."""
    monkeypatch.chdir(tmp_path)

    class Clock(FakeClock):
        off = 0

        def now(self):
            return time.time_ns() // 1_000_000 + self.off

    clock = Clock()
    for off, level in ((0, "ok"), (5_000, "warning"), (-5_000, "warning"), (60_000, "problem")):
        clock.off = off
        found = (await diagnosed(postgres_url, clock=clock))["clock"]
        assert (found.level, off) == (level, off)
    assert found.summary == "the server's is 1 min behind this machine's"


async def test_autovacuum_off_for_the_queue(postgres_url, monkeypatch, tmp_path):
    """A table whose autovacuum somebody switched off is named."""
    monkeypatch.chdir(tmp_path)
    off = "ALTER TABLE hookline_delivery SET (autovacuum_enabled = false)"
    await asyncio.to_thread(execute, postgres_url, off)
    found = (await diagnosed(postgres_url))["autovacuum"]
    assert (found.level, found.summary) == (
        "warning",
        "autovacuum is off for hookline_delivery",
    )


async def test_dead_and_living_workers(postgres_url, monkeypatch, tmp_path):
    """Workers are counted by machine; one that fell silent is named."""
    monkeypatch.chdir(tmp_path)
    now = "(extract(epoch FROM now()) * 1000)::bigint"
    rows = [("web1", 10, 0), ("web1", 11, 1_000), ("web2", 10, 2_000), ("web3", 7, 10 * MINUTE)]
    values = ", ".join(
        f"('{UUID(int=n)}', '{host}', {pid}, {now}, {now} - {silent})"
        for n, (host, pid, silent) in enumerate(rows, 1)
    )
    columns = "id, host, pid, started_at, seen_at"
    insert = f"INSERT INTO hookline_worker ({columns}) VALUES {values}"  # noqa: S608
    await asyncio.to_thread(execute, postgres_url, insert)
    found = await diagnosed(postgres_url)
    assert found["workers"].summary == "3 workers on 2 machines"
    assert found["dead-workers"].items == ("process 7 on web3, silent for 10 min",)


def test_silence_means_the_same_everywhere():
    """The doctor calls a worker dead when the others take its share."""
    assert ALIVE_MS == postgresql_queue.ALIVE_MS


# Readiness ---------------------------------------------------------------------------------------


async def test_readiness_of_an_application(on_each_database):
    """An application that delivers can tell whether it does: before, meanwhile, and after."""
    webhooks = on_each_database()
    assert (await webhooks.readiness()).share == "not started in this process"
    await webhooks.start()
    found = await webhooks.readiness()
    assert (found.ready, found.missing) == (True, {})
    await webhooks.stop()
    assert not (await webhooks.readiness()).ready


async def test_readiness_of_one_that_only_publishes(on_each_database):
    """An application that leaves delivering to others is ready when the database is."""
    webhooks = on_each_database(deliver=False)
    await webhooks.start()
    assert (await webhooks.readiness()).ready


@pytest.mark.parametrize(
    ("silences", "part", "words"),
    [
        ({1: 0, 2: 500}, None, OK),
        ({1: 0}, "share", "1 process not signed on yet: pid 2"),
        ({1: 0, 2: ALIVE_MS}, "heartbeats", "pid 2 was silent for 10 s"),
        ({2: 0, 3: 0}, "heartbeats", "pid 1 was silent for 1 h"),
    ],
)
def test_readiness_of_processes(silences, part, words):
    """Each process must have signed on, and be heard."""
    workers = tuple(WorkerSigns("here", pid, silent) for pid, silent in silences.items())
    others = (WorkerSigns("elsewhere", 2, 0), WorkerSigns("here", 1, HOUR))
    found = readiness.judge(Pulse(CURRENT, workers + others), "here", [1, 2])
    assert found.ready == (part is None)
    assert getattr(found, part or "share") == words


# Rules -------------------------------------------------------------------------------------------


def endpoint(**signs):
    return EndpointSigns(**{"id": "ep_1", "url": "https://a.example/", "signed": True, **signs})


def vitals(*endpoints, workers=None, **signs):
    pulse = Pulse(CURRENT, (WorkerSigns("here", 1, 0),) if workers is None else workers)
    postgres = PostgresSigns(180_006, 0)
    return Vitals(
        **{
            "now": NOW,
            "database": "PostgreSQL",
            "trip_ms": 0.3,
            "pulse": pulse,
            "endpoints": endpoints,
            "postgres": postgres,
            **signs,
        }
    )


@pytest.mark.parametrize(
    ("since", "level"),
    [(0, "ok"), (4 * MINUTE, "ok"), (6 * MINUTE, "warning"), (61 * MINUTE, "problem")],
)
def test_backlog(since, level):
    """The age of the oldest due delivery decides, not how many there are."""
    found = checks_delivery.backlog(
        (v := vitals(endpoint(due=1000, oldest_due=NOW - since))), v.endpoints
    )
    assert found.level == level


def test_backlog_advice():
    """One slow endpoint needs other help than workers that cannot keep up."""
    late = {"due": 10, "oldest_due": NOW - HOUR}
    one = vitals(endpoint(**late))
    assert "concurrency" in checks_delivery.backlog(one, one.endpoints).advice
    many = vitals(endpoint(**late), endpoint(url="https://b.example/", **late))
    assert "add workers" in checks_delivery.backlog(many, many.endpoints).advice
    nobody = vitals(endpoint(**late), workers=())
    assert "hookline worker" in checks_delivery.backlog(nobody, nobody.endpoints).advice


@pytest.mark.parametrize(
    ("signs", "waits"),
    [
        ({}, False),
        ({"disabled_at": NOW}, True),
        ({"circuit": Circuit(failures=3, failing_since=NOW)}, False),
        ({"circuit": Circuit(blocked_until=NOW + 1)}, True),
        ({"circuit": Circuit(CircuitState.OPEN, blocked_until=NOW - 1)}, True),
        ({"circuit": Circuit(ramp=2)}, False),
    ],
)
def test_what_waits_on_purpose(signs, waits):
    """Deliveries of disabled endpoints, and behind circuits and Retry-After, are no backlog."""
    late = endpoint(due=1, oldest_due=NOW - 2 * HOUR, stuck=1, **signs)
    found = bad(checks_delivery.delivery(vitals(late), HERE, terms, ()))
    assert ("backlog" not in found, "leases" not in found) == (waits, waits)


@pytest.mark.parametrize(
    ("url", "clear"),
    [
        ("http://shop.example/", True),
        ("http://10.0.0.5/", True),
        ("https://shop.example/", False),
        ("http://127.0.0.1:9000/", False),
        ("http://localhost:9000/", False),
        ("http://[::1]:9000/", False),
        ("http://localhost.example/", True),
    ],
)
def test_plain_http(url, clear):
    """http:// is worth a word unless it stays on this machine."""
    assert (checks_delivery.plain_http(vitals(endpoint(url=url))).level == "warning") == clear


@pytest.mark.parametrize(
    ("check", "signs", "level", "words"),
    [
        ("server", {"version": 120_001}, "warning", "PostgreSQL 12.1"),
        ("server", {"standby": True}, "problem", "a standby that takes no writes"),
        ("durability", {"fsync": False}, "problem", "fsync is off"),
        ("autovacuum", {"autovacuum": False}, "problem", "off for the whole server"),
        ("dead-rows", {"dead_rows": 800_000}, "warning", "800,000 dead rows beside 0 live"),
        ("dead-rows", {"dead_rows": 300_000, "live_rows": 10**6}, "ok", "300,000 dead rows"),
        ("connections", {"connections": 91}, "warning", "91 of 100 connections in use"),
        ("connections", {"connections": 84}, "ok", "84 of 100"),
        ("transactions", {"holding_back": (Transaction("pid 7", HOUR, "…"),)}, "problem", "1 h"),
        ("transactions", {"holding_back": (Transaction("slot", None, "…"),)}, "warning", "1 hold"),
    ],
)
def test_rules_for_postgresql(check, signs, level, words):
    """Each fact about the server has its level and its words."""
    signs = PostgresSigns(**{"version": 180_006, "clock_off_ms": 0, **signs})
    found = by_check(checks_database.postgres(signs, delivering=True))
    assert found[check].level == level
    assert words in found[check].summary
    assert {f.check for f in found.values() if f.level != "ok"} <= {check}


MIB = 1 << 20
FILE = {
    "version": "3.40.1", "path": "/srv/hookline.db", "journal": "wal", "size": 500 * MIB, "wal": 0,
    "free_pages": 0, "incremental": True, "disk_free": 50_000 * MIB,
}  # fmt: skip


@pytest.mark.parametrize(
    ("check", "signs", "level", "words"),
    [
        ("server", {"version": "3.34.0"}, "problem", "SQLite 3.34.0"),
        ("journal", {"journal": "delete"}, "warning", "the file is in delete mode"),
        ("file", {"filesystem": "nfs4"}, "problem", "on a network file system (nfs4)"),
        ("file", {"not_writable": "/srv"}, "problem", "may not write to /srv"),
        ("disk", {"disk_free": 900 * MIB}, "warning", "900 MiB free"),
        ("disk", {"disk_free": 90 * MIB}, "problem", "90 MiB free"),
        ("wal", {"wal": 300 * MIB}, "warning", "300 MiB could not be written back"),
        ("free-pages", {"free_pages": 400 * MIB}, "warning", "400 MiB of 500 MiB unused"),
        ("free-pages", {"free_pages": 100 * MIB}, "ok", "100 MiB of 500 MiB unused"),
    ],
)
def test_rules_for_sqlite(check, signs, level, words):
    """Each fact about the file has its level and its words."""
    found = by_check(checks_database.sqlite(SqliteSigns(**{**FILE, **signs})))
    assert found[check].level == level
    assert words in found[check].summary
    assert {f.check for f in found.values() if f.level != "ok"} <= {check}


def test_a_slow_way_to_the_database():
    """A round trip of more than 50 ms slows down every batch."""
    assert checks_database.reach(vitals(trip_ms=80)).level == "warning"


def test_network_file_systems(tmp_path):
    """The mount a file is on decides, the longest prefix and the last one of it."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "36 22 0:30 / /srv/shared rw,noatime shared:1 - nfs4 nas:/x rw\n"
        "37 22 0:31 / /srv/with\\040space rw - cifs //nas/x rw\n"
        "38 36 8:2 / /srv/shared/local rw master:2 - xfs /dev/sdb rw\n",
        "utf-8",
    )
    kinds = {
        "/srv/shared/a.db": "nfs4",
        "/srv/shared/local/a.db": "",
        "/srv/with space/a.db": "cifs",
        "/srv/sharedbutnot/a.db": "",
        "/var/a.db": "",
    }
    assert {path: network_filesystem(path, mounts) for path in kinds} == kinds
    assert network_filesystem("/x", tmp_path / "no such file") == ""


def test_words():
    """Durations, sizes and counts are said as people say them."""
    spans = [(0, "0 ms"), (450, "450 ms"), (14_200, "14 s"), (90_000, "1 min"), (HOUR, "1 h")]
    spans += [(HOUR + 20 * MINUTE, "1 h 20 min"), (DAY, "1 day"), (49 * HOUR, "2 days 1 h")]
    assert [(given, span(given)) for given, _ in spans] == spans
    sizes = [(0, "0 bytes"), (1536, "1.5 KiB"), (20 * MIB, "20 MiB"), (5 << 40, "5,120 GiB")]
    assert [(given, size(given)) for given, _ in sizes] == sizes
    assert number(1, "delivery", "deliveries") == "1 delivery"
    assert number(1200, "endpoint") == "1,200 endpoints"
    assert shortened(map(str, range(25)))[-2:] == ("19", "and 5 more")
    assert worst([]) is Level.OK


# Probing -----------------------------------------------------------------------------------------


async def test_probing_hosts(receiver):
    """Each distinct host is connected to once, without a request; those that fail say why."""
    silent = socket.create_server(("127.0.0.1", 0), backlog=0)
    with silent, socket.create_server(("127.0.0.1", 0)) as closed:
        ports = [s.getsockname()[1] for s in (silent, closed)]
        fill = [socket.socket() for _ in range(4)]  # a full backlog: nobody answers any more
        for each in fill:
            each.settimeout(0)
            each.connect_ex(("127.0.0.1", ports[0]))
        closed.close()
        urls = [receiver.url, receiver.base + "/other", "http://nowhere.invalid/"]
        urls += [f"http://127.0.0.1:{port}/" for port in ports]
        found = await probe([(url, HERE, None) for url in urls], deadline=0.5)
        for each in fill:
            each.close()
    assert found == {
        "http://nowhere.invalid:80": found["http://nowhere.invalid:80"],
        f"http://127.0.0.1:{ports[0]}": "no answer within 0.5 s",
        f"http://127.0.0.1:{ports[1]}": "connection refused",
    }
    assert found["http://nowhere.invalid:80"].startswith("the name cannot be resolved: ")
    assert receiver.count == 0


async def test_probing_a_certificate():
    """A certificate that cannot be trusted is said; so is one that is no TLS at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        [reason] = (await probe([(f"https://127.0.0.1:{port}/", HERE, None)])).values()
    assert reason.startswith("the certificate is refused: ")
    with Receiver() as plain:
        [reason] = (await probe([(plain.base.replace("http:", "https:"), HERE, None)])).values()
    assert reason.startswith("TLS failed: ")


def test_probe_is_a_finding(doctor, database_file):
    """`--probe` names the hosts that cannot be connected to."""
    url = f"sqlite:///{database_file}"

    with closing(Webhooks(database=url, deliver=False)) as webhooks:
        webhooks.register("https://nowhere.invalid/webhook", ["*"], secret="s3cret")
        asyncio.run(webhooks.start())
    _, out = doctor("--database", url, "--probe")
    assert "1 host cannot be connected to from here" in out
    assert "https://nowhere.invalid:443: the name cannot be resolved" in out
    assert "reachable" not in doctor("--database", url)[1]
