"""Bringing the schema up to date. Alembic is loaded only when there is something to do."""

import logging
from pathlib import Path

import sqlalchemy as sa

from hookline._storage.schema import VERSION_TABLE, application
from hookline.errors import StorageError

VERSIONS = ("0001",)
HEAD = VERSIONS[-1]
"""The newest migration; a test compares them with the scripts."""
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
    found = _known(connection)
    if found == HEAD:
        return
    has = "has no Hookline tables" if found is None else f"is at schema version {found}"
    raise StorageError(
        f"the database {has}, this Hookline needs version {HEAD}; run: hookline migrate"
    )


def _known(connection: sa.Connection) -> str | None:
    """Return the version, or raise StorageError where no migration can start from."""
    found = version(connection)
    if found is None and sa.inspect(connection).has_table(application.name):
        raise StorageError(
            f"the database has Hookline tables of an unknown schema version ({VERSION_TABLE} is "
            "missing or empty); restore it from a backup, or write the version it had there"
        )
    if found is not None and found not in VERSIONS:
        what = "update Hookline" if found > HEAD else "restore the database from a backup"
        raise StorageError(
            f"the database is at schema version {found}, which this Hookline does not know (it "
            f"needs version {HEAD}); {what}"
        )
    return found


def upgrade(connection: sa.Connection, to: str = HEAD) -> bool:
    """Run the migrations that are missing up to `to`, inside the connection's transaction.

    Returns whether any ran. One process at a time: of two that start at once, the second finds the
    work done.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    if (_known(connection) or "") >= to:
        return False
    # Alembic tells of its plug-ins at INFO; an application's log is not the place.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic import command  # noqa: PLC0415 - 150 ms that most starts need not pay
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    return True
