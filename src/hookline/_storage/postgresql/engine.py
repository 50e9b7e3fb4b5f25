"""A SQLAlchemy engine for the same database, for everything off the hot path."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hookline._storage.quiet import quiet

INDEXED = {
    # Nothing here may read a whole table: there are indexes for everything that is asked. The
    # planner would, for an endpoint of which it knows nothing, in a queue of any length.
    "enable_seqscan": "off",
    "jit": "off",
}


def create_engine(url: sa.URL) -> AsyncEngine:
    """Return an engine that finds broken connections before it uses them."""
    query = dict(url.query)
    if "sslmode" in query:  # libpq's name, which asyncpg's own URLs know and SQLAlchemy's do not
        query["ssl"] = query.pop("sslmode")
    url = url.set(drivername="postgresql+asyncpg", query=query)
    return create_async_engine(
        url,
        connect_args={"server_settings": INDEXED},
        hide_parameters=True,
        logging_name=quiet(),
        pool_pre_ping=True,
    )


def dsn(url: sa.URL) -> str:
    """Return the URL as asyncpg reads it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
