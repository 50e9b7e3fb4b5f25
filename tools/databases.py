"""A fresh, migrated PostgreSQL database for each test: a copy of a template, some 30 ms each."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from hookline import Webhooks
from tools.postgres import Server


class PostgresDatabases:
    """Databases on a server of our own, or on the one a URL names (a role that may create them)."""

    def __init__(self, url: str | None = None) -> None:
        """Make the template."""
        self.server = None if url else Server(fsync="off").start()
        self._url = sa.make_url(url or (self.server.url() if self.server else ""))
        self._prefix = f"hookline_test_{secrets.token_hex(4)}"
        self._template = self._prefix
        self._run(f'CREATE DATABASE "{self._template}"')
        webhooks = Webhooks(database=self.url(self._template), migrate="always", deliver=False)
        asyncio.run(webhooks.start())
        webhooks.close()

    def url(self, name: str) -> str:
        """Return the URL of a database on this server."""
        return self._url.set(database=name).render_as_string(hide_password=False)

    @contextmanager
    def fresh(self, *, empty: bool = False) -> Iterator[str]:
        """Give the URL of a migrated (or empty) database that is dropped afterwards."""
        name = f"{self._prefix}_{secrets.token_hex(4)}"
        template = "template0" if empty else self._template
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        try:
            yield self.url(name)
        finally:
            self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        async def run() -> None:
            engine = create_async_engine(
                self._url, isolation_level="AUTOCOMMIT", poolclass=NullPool
            )
            async with engine.connect() as connection:
                await connection.exec_driver_sql(statement)
            await engine.dispose()

        asyncio.run(run())

    def close(self) -> None:
        """Drop the template, or end the server."""
        if self.server is not None:
            self.server.stop()
        else:
            self._run(f'DROP DATABASE IF EXISTS "{self._template}" WITH (FORCE)')
