"""Databases that are not what they should be: a clear error, and nothing touched."""

import pytest
from tests.crash.support import Look

from hookline.errors import StorageError


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("9999", "is at schema version 9999.*update Hookline"),
        ("0000", "schema version 0000"),
        ("nonsense", "schema version nonsense"),
    ],
)
async def test_an_unknown_schema_version(on_each_database, database_url, version, says):
    """A schema this Hookline does not know is not touched; the error says what is there."""
    look = Look(database_url)
    await look.rows("UPDATE hookline_version SET version_num = :version", version=version)
    for migrate in ("auto", "always", "never"):
        with pytest.raises(StorageError, match=says):
            await on_each_database(migrate=migrate).start()
    assert await look.rows("SELECT version_num FROM hookline_version") == [(version,)]


@pytest.mark.parametrize("migrate", ["auto", "always", "never"])
async def test_a_schema_without_its_version(on_each_database, database_url, migrate):
    """Tables whose version is lost are not made again over the old ones: an error says so."""
    await Look(database_url).rows("DELETE FROM hookline_version")
    with pytest.raises(StorageError, match="version"):
        await on_each_database(migrate=migrate).start()


async def test_a_table_that_is_gone(on_each_database, database_url):
    """When one of our tables was dropped, what needs it raises StorageError that names it."""
    webhooks = on_each_database(deliver=False)
    await webhooks.start()
    await Look(database_url).rows("DROP TABLE hookline_outbox")
    with pytest.raises(StorageError, match="hookline_outbox"):
        await webhooks.trigger("a.b", {})


async def test_a_postgresql_without_our_tables(postgres_url, make_webhooks):
    """On PostgreSQL nothing is migrated unasked: the error says what to run."""
    look = Look(postgres_url)
    await look.rows("DROP SCHEMA public CASCADE")
    await look.rows("CREATE SCHEMA public")
    with pytest.raises(StorageError, match=r"no Hookline tables.*hookline migrate"):
        await make_webhooks(database=postgres_url).start()
    assert await look.rows("SELECT 1 FROM pg_tables WHERE tablename ~ '^hookline'") == []


@pytest.mark.parametrize("damage", ["not a database", "cut in half", "overwritten"])
async def test_a_damaged_file(make_webhooks, tmp_path, database_file, damage):
    """A file that is no database, or no longer one, is named in a StorageError, and left alone."""
    whole = database_file.read_bytes()
    content = {
        "not a database": b"id,name\n1,Anna\n" * 1000,
        "cut in half": whole[: len(whole) // 2],
        "overwritten": whole[:4096] + b"\xff" * (len(whole) - 4096),
    }[damage]
    file = tmp_path / "damaged.db"
    file.write_bytes(content)
    webhooks = make_webhooks(database=f"sqlite:///{file}")
    with pytest.raises(StorageError, match=r"damaged\.db"):
        await webhooks.start()
    assert file.read_bytes() == content
