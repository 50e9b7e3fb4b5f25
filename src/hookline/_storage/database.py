"""From a database URL to the store and queue that work on it."""

import re
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from hookline._domain.encryption import parse_keys
from hookline._ports import Queue, Store
from hookline._settings import Settings, masked
from hookline._storage.sqlite import engine as sqlite_engine
from hookline._storage.sqlite.queue import SqliteQueue
from hookline._storage.store import Retention, SqlStore
from hookline._storage.vault import Vault
from hookline.errors import InvalidSettings

_POSTGRES = re.compile(r"^postgres://")  # as some hosting companies write it
DAY = 24 * 3600 * 1000


class Database(NamedTuple):
    """The two faces of one database."""

    store: Store
    queue: Queue


def parse_url(text: str) -> sa.URL:
    """Return a database URL made absolute, or raise InvalidSettings with what was expected."""
    try:
        url = sa.make_url(_POSTGRES.sub("postgresql://", text))
    except (sa.exc.ArgumentError, ValueError):
        # Not shown: what cannot be parsed cannot be freed of its password either.
        raise InvalidSettings(
            "database: is not a database URL; expected sqlite:///path/to/file.db or "
            "postgresql+asyncpg://user:password@host/name"
        ) from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite(url)
    if backend == "postgresql":
        return url
    raise InvalidSettings(
        f"database: {backend} is not supported ({masked(text)}); expected "
        "sqlite:///path/to/file.db or postgresql+asyncpg://user:password@host/name"
    )


def _sqlite(url: sa.URL) -> sa.URL:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise InvalidSettings(
            "database: SQLite in memory cannot keep an event for certain; expected "
            "sqlite:///path/to/file.db"
        )
    # Absolute, so that a later chdir changes nothing.
    return sa.URL.create("sqlite", database=str(Path(url.database).resolve()))


def open_database(url: sa.URL, settings: Settings) -> Database:
    """Return the store and the queue of a parsed URL; nothing is opened yet."""
    retention = Retention(
        messages_ms=round(settings.retention_messages * DAY),
        payloads_ms=round(settings.retention_payloads * DAY),
        attempts_ms=round(settings.retention_attempts * DAY),
        audit_ms=round(settings.retention_audit * DAY),
    )
    vault = Vault(parse_keys(settings.encryption_key))
    if url.get_backend_name() == "sqlite":
        path = str(url.database)
        store = SqlStore(
            sqlite_engine.create_engine(path),
            migrates=settings.migrate != "never",
            retention=retention,
            vault=vault,
            ownership=settings.ownership(),
        )
        queue = SqliteQueue(path, response_kept=settings.response_kept, vault=vault)
        return Database(store, queue)
    try:
        from hookline._storage.postgresql import engine  # noqa: PLC0415 - an extra
        from hookline._storage.postgresql.queue import PostgresQueue  # noqa: PLC0415
    except ImportError as error:
        raise InvalidSettings(
            f"database: PostgreSQL needs asyncpg ({error}); pip install 'hookline[postgres]'"
        ) from None
    store = SqlStore(
        engine.create_engine(url),
        migrates=settings.migrate == "always",
        retention=retention,
        vault=vault,
        ownership=settings.ownership(),
    )
    return Database(
        store,
        PostgresQueue(
            engine.dsn(url),
            response_kept=settings.response_kept,
            settle_durable=settings.settle_durable,
            vault=vault,
        ),
    )
