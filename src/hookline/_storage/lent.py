"""The schema, made through a connection that somebody else lends, inside his transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from hookline._storage import default, migrate
from hookline._storage.schema import PREFIX


def upgrade(connection: Any, driver: str, to: str, now: int) -> bool:
    """Bring the schema up to a version; return whether there was anything to do.

    `connection` is that of `driver`: `sqlite`, `postgresql+psycopg` or `postgresql+psycopg2`.
    """
    with _lent(connection, driver) as lent:
        ran = migrate.upgrade(lent, to)
        default.ensure(lent, now)
        return ran


def drop(connection: Any, driver: str) -> None:
    """Drop every table of ours, with all that is in them."""
    with _lent(connection, driver) as lent:
        cascade = "" if driver == "sqlite" else " CASCADE"  # the log's partitions go with it
        for name in sa.inspect(lent).get_table_names():
            if name.startswith(PREFIX):
                lent.exec_driver_sql(f"DROP TABLE IF EXISTS {name}{cascade}")


@contextmanager
def _lent(connection: Any, driver: str) -> Iterator[sa.Connection]:
    options = {} if driver == "sqlite" else {"use_native_hstore": False}
    engine = sa.create_engine(
        f"{driver}://", creator=lambda: connection, poolclass=StaticPool, **options
    )
    for verb in ("do_commit", "do_rollback", "do_close", "do_terminate"):
        setattr(engine.dialect, verb, _leave)  # it ends when its owner says
    with engine.connect() as lent:
        yield lent


def _leave(_connection: Any) -> None:
    """Do nothing."""
