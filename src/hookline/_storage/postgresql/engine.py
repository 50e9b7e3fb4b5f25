"""A SQLAlchemy engine for the same database, for everything off the hot path."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


def create_engine(url: sa.URL) -> AsyncEngine:
    """Return an engine that finds broken connections before it uses them."""
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg"), hide_parameters=True, pool_pre_ping=True
    )


def dsn(url: sa.URL) -> str:
    """Return the URL as asyncpg reads it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
