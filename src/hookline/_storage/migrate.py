"""Bringing the schema up to date. Alembic is loaded only when there is something to do."""

import logging
from pathlib import Path

import sqlalchemy as sa

from hookline._storage.schema import VERSION_TABLE

HEAD = "0001"
"""The newest migration; a test compares it with the scripts."""


def version(connection: sa.Connection) -> str | None:
    """Return the schema version of the database, None for one without our tables."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
    return found.scalar()


def upgrade(connection: sa.Connection) -> None:
    """Run the missing migrations inside the connection's transaction.

    The caller's transaction must hold the database's write lock, so that of two processes that
    start at once the second finds the work done.
    """
    if version(connection) == HEAD:
        return
    # Alembic tells of its plug-ins at INFO; an application's log is not the place.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic import command  # noqa: PLC0415 - 150 ms that most starts need not pay
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
