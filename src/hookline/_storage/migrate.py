"""Bringing the schema up to date. Alembic is loaded only when there is something to do."""

import logging
from pathlib import Path

import sqlalchemy as sa

from hookline._storage.schema import VERSION_TABLE
from hookline.errors import StorageError

HEAD = "0001"
"""The newest migration; a test compares it with the scripts."""
LOCK = 0x6D696772
"""PostgreSQL's advisory lock around a migration. SQLite has its write lock."""


def version(connection: sa.Connection) -> str | None:
    """Return the schema version of the database, None for one without our tables."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
    return found.scalar()


def check(connection: sa.Connection) -> None:
    """Raise StorageError saying what to run unless the schema is this version's."""
    found = version(connection)
    if found == HEAD:
        return
    has = "has no Hookline tables" if found is None else f"is at schema version {found}"
    what = "update Hookline" if found is not None and found > HEAD else "run: hookline migrate"
    raise StorageError(f"the database {has}, this Hookline needs version {HEAD}; {what}")


def upgrade(connection: sa.Connection) -> bool:
    """Run the missing migrations inside the connection's transaction; return whether any ran.

    One process at a time: of two that start at once, the second finds the work done.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    found = version(connection)
    if found == HEAD:
        return False
    if found is not None and found > HEAD:
        check(connection)
    # Alembic tells of its plug-ins at INFO; an application's log is not the place.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic import command  # noqa: PLC0415 - 150 ms that most starts need not pay
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
    return True
