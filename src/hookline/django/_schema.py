"""Hookline's own migrations, run through Django's connection: in its transaction, on its tests' DB.

So that `manage.py migrate` is all there is to run, and a test database in memory has the tables.
"""

import time
from typing import Any

from hookline._storage import lent
from hookline.django._publish import using


def upgrade(connection: Any, to: str) -> None:
    """Bring the schema up to a version, on the database Hookline is in and no other."""
    if connection.alias == using() and (driver := _driver(connection)) is not None:
        connection.ensure_connection()
        lent.upgrade(connection.connection, driver, to, round(time.time() * 1000))


def drop(connection: Any) -> None:
    """Drop every table of Hookline's."""
    if connection.alias == using() and (driver := _driver(connection)) is not None:
        connection.ensure_connection()
        lent.drop(connection.connection, driver)


def _driver(connection: Any) -> str | None:
    """Return SQLAlchemy's name of the driver that Django uses."""
    if connection.vendor == "sqlite":
        return "sqlite"
    if connection.vendor != "postgresql":
        return None  # the system check says so
    return (
        "postgresql+psycopg" if connection.Database.__name__ == "psycopg" else "postgresql+psycopg2"
    )
