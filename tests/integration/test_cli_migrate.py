"""`hookline migrate`: makes the tables, says what it did, waits for others, shows no password."""

import asyncio
import os
import re
import secrets
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from typer.testing import CliRunner

from hookline import Webhooks
from hookline._storage.migrate import HEAD, LOCK
from hookline.cli import app
from hookline.errors import StorageError

PATIENCE = 25.0
"""Seconds within which everything waited for must happen."""


def start(*arguments, cwd):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HOOKLINE_")}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "hookline", "migrate", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=clean,
    )


@pytest.fixture
def migrate(tmp_path, monkeypatch):
    """Return a runner of `hookline migrate`: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def migrate(*arguments):
        ended = CliRunner().invoke(app, ["migrate", *arguments])
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return ended.exit_code, ended.stdout.strip(), ended.stderr.strip()

    return migrate


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    """The URL of a database without our tables, on each database in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new.db"
        return
    postgres = request.getfixturevalue("postgres")
    name = f"hookline_empty_{secrets.token_hex(4)}"
    postgres._run(f'CREATE DATABASE "{name}"')
    yield postgres.url(name)
    postgres._run(f'DROP DATABASE "{name}" WITH (FORCE)')


def execute(url, statement):
    """Run a statement on either database."""

    async def run():
        engine = create_async_engine(
            url.replace("sqlite:", "sqlite+aiosqlite:"), poolclass=NullPool
        )
        async with engine.begin() as connection:
            await connection.exec_driver_sql(statement)
        await engine.dispose()

    asyncio.run(run())


def test_it_says_what_it_did(migrate, empty_url):
    """The first time it makes the tables, the second time there is nothing to do."""
    assert migrate("--database", empty_url) == (0, f"migrated to {HEAD}", "")
    assert migrate("--database", empty_url) == (0, f"already at {HEAD}", "")


def test_check_changes_nothing(migrate, empty_url):
    """`--check` fails with what to run until the schema is current."""
    code, out, err = migrate("--database", empty_url, "--check")
    assert (code, out) == (1, "")
    assert err.endswith("no Hookline tables yet, version 0001 is needed; run: hookline migrate")
    assert migrate("--database", empty_url)[0] == 0
    assert migrate("--database", empty_url, "--check") == (0, f"current: version {HEAD}", "")


def test_a_newer_schema(migrate, empty_url):
    """A schema from a newer Hookline is left alone: this one has to be updated."""
    assert migrate("--database", empty_url)[0] == 0
    execute(empty_url, "UPDATE hookline_version SET version_num = '9999'")
    for arguments in ([], ["--check"]):
        code, _, err = migrate("--database", empty_url, *arguments)
        assert code == 1
        assert "version 9999" in err
        assert "update Hookline" in err


def test_two_at_once(empty_url, tmp_path):
    """Of two that start together one migrates, the other one finds it done."""
    both = [start("--database", empty_url, cwd=tmp_path) for _ in range(2)]
    ends = [process.communicate(timeout=PATIENCE) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert sorted(out.strip() for out, _ in ends) == [f"already at {HEAD}", f"migrated to {HEAD}"]


@contextmanager
def migrating(url):
    """Hold what a migration under way holds."""
    if url.startswith("sqlite"):
        path = sa.make_url(url).database
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            yield
        return
    held, done = threading.Event(), threading.Event()

    async def hold():
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
            held.set()
            await asyncio.to_thread(done.wait, PATIENCE)
        await engine.dispose()

    holder = threading.Thread(target=asyncio.run, args=(hold(),))
    holder.start()
    try:
        assert held.wait(PATIENCE)
        yield
    finally:
        done.set()
        holder.join()


def test_it_waits_for_another(empty_url, tmp_path):
    """While another migration is under way it waits, past any busy timeout, and says so."""
    with start("--database", empty_url, cwd=tmp_path) as process:
        with migrating(empty_url):
            said = process.stderr.readline()
            assert said.startswith("waiting: another migration is under way")
            if empty_url.startswith("sqlite"):
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(6)  # longer than SQLite's busy timeout
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert out.strip() == f"migrated to {HEAD}"


PASSWORD = "gehe:im@1"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "postgresql://u:gehe%3Aim%401@127.0.0.1:1/shop",
            "at 127.0.0.1:1: the connection was refused",
        ),
        ("postgresql://u:gehe%3Aim%401@nowhere.invalid/shop", "the name cannot be resolved"),
        ("postgresql://u:gehe%3Aim%401@/shop?host=/nowhere", "there is no socket in that folder"),
        ("postgresql://u:gehe%3Aim%401@127.0.0.1:1/x?nonsense=1", "unknown parameter 'nonsense'"),
        ("mysql://u:gehe%3Aim%401@host/shop", "mysql is not supported"),
        ("sqlite:////nowhere/at/all.db", "its folder does not exist: make it"),
    ],
)
def test_what_to_check(migrate, url, words):
    """A database that cannot be used: one line with what to check, and no password in it."""
    code, out, err = migrate("--database", url)
    assert code in {1, 2}
    assert out == ""
    assert re.search(words, err), err
    assert len(err.splitlines()) == 1
    assert "gehe" not in err


@pytest.mark.parametrize(
    ("user", "database", "words"),
    [
        ("nobody_known", "postgres", "does not let nobody_known in: check user, password"),
        ("postgres", "nothing_there", "there is no database nothing_there: create it"),
    ],
)
def test_what_the_server_refuses(migrate, postgres, user, database, words):
    """Unknown role, unknown database: each with what to do."""
    url = postgres._url.set(username=user, password=PASSWORD, database=database)
    code, _, err = migrate("--database", url.render_as_string(hide_password=False))
    assert code == 1
    assert words in err
    assert "gehe" not in err


async def test_the_facade_migrates_too(empty_url, monkeypatch, tmp_path):
    """`await webhooks.migrate()` does the same, with the engine not running."""
    monkeypatch.chdir(tmp_path)
    webhooks = Webhooks(database=empty_url)
    assert await webhooks.migrate()
    assert not await webhooks.migrate()
    assert (await webhooks.schema()).current


async def test_the_facade_raises_storage_errors(monkeypatch, tmp_path):
    """A database out of reach is a StorageError for the caller."""
    monkeypatch.chdir(tmp_path)
    webhooks = Webhooks(database="postgresql://u:geheim@127.0.0.1:1/shop")
    for call in (webhooks.migrate, webhooks.schema):
        with pytest.raises(StorageError, match="PostgreSQL database shop at"):
            await call()
