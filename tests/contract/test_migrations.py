"""The schema in code and the one the migrations make are the same, on every database."""

import asyncio
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

import hookline
import hookline._storage
from hookline import Webhooks
from hookline._storage import migrate, schema
from hookline.errors import StorageError

SCRIPTS = Path(hookline._storage.__file__).parent / "migrations"


@pytest.fixture
def inspect_database(database_url):
    """Return a runner of `look(connection)` on this test's migrated database."""

    async def run(look):
        engine = create_async_engine(database_url.replace("sqlite:", "sqlite+aiosqlite:"))
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(look)
        finally:
            await engine.dispose()

    return run


def ours(_object, name, kind, *_):
    """Leave out the application's tables and the log's day partitions."""
    partition = name and name.startswith("hookline_attempt_")
    return kind != "table" or (name.startswith("hookline_") and not partition)


async def test_the_schema_is_what_the_migrations_make(inspect_database):
    """Nothing is to be migrated on a database that was migrated: types and indexes included."""

    def look(connection):
        options = {
            "version_table": schema.VERSION_TABLE,
            "include_object": ours,
            "compare_type": True,
            "compare_server_default": True,
        }
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, schema.metadata)

    assert await inspect_database(look) == []


async def test_a_migrated_database_is_current(inspect_database):
    """The version in the database is the newest, and migrating again does nothing."""

    def look(connection):
        assert migrate.version(connection) == migrate.HEAD
        migrate.check(connection)
        return migrate.upgrade(connection)

    assert await inspect_database(look) is False


async def test_every_table_is_ours(inspect_database):
    """Every table that is made carries the prefix, for it lives among the application's own."""

    def look(connection):
        return sa.inspect(connection).get_table_names()

    names = await inspect_database(look)
    assert {name for name in names if not name.startswith("hookline_")} == set()
    assert set(schema.metadata.tables) <= set(names)


def test_head_is_the_newest_script():
    """What the code asks for is the one head of the scripts."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [migrate.HEAD]
    assert len(list(scripts.walk_revisions())) == len(list(SCRIPTS.glob("versions/[0-9]*.py")))


def test_the_tables_of_the_application_are_left_alone(tmp_path, make_webhooks):
    """Migrating a database in use adds our tables to it and touches no other."""
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('of the application')")
        connection.execute("INSERT INTO customer VALUES (1, '张三')")
    connection.close()
    webhooks = make_webhooks(database=f"sqlite:///{path}")
    asyncio.run(webhooks.start())
    webhooks.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT * FROM customer").fetchall() == [(1, "张三")]
    assert connection.execute("SELECT * FROM alembic_version").fetchall() == [
        ("of the application",)
    ]
    connection.close()


def test_a_newer_schema_is_refused(database_file, make_webhooks):
    """A database that a newer Hookline migrated is refused, and nothing of it is changed."""
    connection = sqlite3.connect(database_file)
    connection.execute("UPDATE hookline_version SET version_num = '9999'")
    connection.commit()
    with pytest.raises(StorageError, match=r"9999.*update Hookline"):
        asyncio.run(make_webhooks().start())
    found = connection.execute("SELECT version_num FROM hookline_version").fetchone()
    assert found == ("9999",)
    connection.close()


MIGRATE = """
import asyncio, sys
from hookline import Webhooks

webhooks = Webhooks(database=sys.argv[1], migrate="always", deliver=False)
sys.stdin.readline()
asyncio.run(webhooks.start())
print("started")
webhooks.close()
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_migrate_at_once(kind, tmp_path, request):
    """Of several processes that start on an empty database at once, all start, on one schema."""
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path}/empty.db"
    else:
        url = request.getfixturevalue("empty_postgres")
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", MIGRATE, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        for _ in range(3)
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=30) for process in processes]
    assert ends == [("started\n", "")] * 3


@pytest.fixture
def empty_postgres(postgres):
    """The URL of a PostgreSQL database without tables."""
    name = f"{postgres._prefix}_empty"
    postgres._run(f'CREATE DATABASE "{name}"')
    yield postgres.url(name)
    postgres._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def test_a_database_of_somebody_else_is_not_migrated(empty_postgres, make_webhooks):
    """PostgreSQL is migrated only when told: without it the start says what to run."""
    webhooks: Webhooks = make_webhooks(database=empty_postgres)
    with pytest.raises(StorageError, match=r"has no Hookline tables.*hookline migrate"):
        await webhooks.start()
    told = make_webhooks(database=empty_postgres, migrate="always")
    await told.start()
    await told.stop()
    await webhooks.start()


def test_django_has_a_migration_for_each_version():
    """`manage.py migrate` brings a database as far as `hookline migrate` does."""
    folder = Path(hookline.__file__).parent / "django/migrations"
    calls = [path.read_text("utf-8") for path in sorted(folder.glob("0*.py"))]
    found = [re.findall(r'upgrade\(schema_editor\.connection, "(\d+)"\)', text) for text in calls]
    assert tuple(version for each in found for version in each) == migrate.VERSIONS
