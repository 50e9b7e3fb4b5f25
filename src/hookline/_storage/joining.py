"""Publishing inside a transaction of the caller's."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from hookline._domain import ids
from hookline._ports import NewMessage
from hookline._said import Said
from hookline._storage.joined import Joined, ajoined, joined
from hookline._storage.postgresql import publication as postgresql
from hookline._storage.sqlite import publication as sqlite
from hookline._storage.steps import Statement, Steps, adrive, drive
from hookline.errors import ApplicationNotFound, SessionMismatch, StorageError

BACKENDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
WHERE = {
    "sqlite": Statement("PRAGMA database_list"),
    "postgresql": Statement(
        "SELECT current_database(), (SELECT system_identifier::text FROM pg_control_system()), "
        "(SELECT oid::text FROM pg_database WHERE datname = current_database())"
    ),
}
"""What says which database a connection is on, by whatever name it was reached."""
FIND = {
    "sqlite": "SELECT id FROM hookline_application WHERE (uid = ? OR id = ?) "
    "AND deleted_at IS NULL",
    "postgresql": "SELECT id FROM hookline_application WHERE (uid = $1 OR id = $2) "
    "AND deleted_at IS NULL",
}


class Place(NamedTuple):
    """Which database that is. `identity` is None where the server does not tell."""

    backend: str
    name: str
    identity: str | None


def where(backend: str) -> Steps[Place]:
    """Return the place that a connection is at."""
    row = yield WHERE[backend]
    assert row is not None  # noqa: S101 - there is always one
    if backend == "sqlite":
        file = str(row[2] or "")
        return Place(backend, file or ":memory:", str(Path(file).resolve()) if file else "")
    return Place(backend, str(row[0]), f"{row[1]}/{row[2]}")


async def join(
    connection: object,
    messages: Sequence[NewMessage],
    ours: Place,
    shown: str,
    on_commit: Callable[[], None],
) -> list[bytes]:
    """Publish in the caller's transaction; return the keys that the messages are known by.

    `on_commit` is called after the commit where the connection tells of it; where it does not,
    workers are woken by the database. Raises SessionMismatch unless the connection is at `ours`,
    which is shown as `shown`. Waits for nothing when the connection is synchronous.
    """
    there = await ajoined(connection)
    there.after_commit(on_commit)
    steps = _checked(there, messages, ours, shown)
    try:
        with there.around():
            if there.asynchronous:
                return await adrive(steps, there.run)
            return drive(steps, there.run)
    except Exception as error:
        _raise_if_without_tables(error)
        raise


def enclose(connection: object, messages: Sequence[NewMessage], application: str) -> list[bytes]:
    """Publish for an application through a synchronous connection alone, without an engine.

    Returns the keys that the messages are known by. Raises ApplicationNotFound.
    """
    there = joined(connection)
    _check_backend(there)
    try:
        with there.around():
            return drive(_for_application(there, messages, application), there.run)
    except Exception as error:
        _raise_if_without_tables(error)
        raise


def _checked(
    there: Joined, messages: Sequence[NewMessage], ours: Place, shown: str
) -> Steps[list[bytes]]:
    _check_backend(there)
    memo = there.memo
    if memo is None or memo.get("hookline") != ours:
        theirs = ours if ours.identity is None else (yield from where(there.backend))
        if (theirs.backend, theirs.identity) != (ours.backend, ours.identity):
            raise SessionMismatch(
                f"session: is on {BACKENDS[theirs.backend]} {theirs.name}, but Hookline uses "
                f"{shown}; give both the same database (Webhooks(database=…) or HOOKLINE_DATABASE)"
            )
        if memo is not None:
            memo["hookline"] = ours
    return (yield from _publication(there, messages))


def _for_application(
    there: Joined, messages: Sequence[NewMessage], application: str
) -> Steps[list[bytes]]:
    id_ = ids.decode(ids.APPLICATION, application) or bytes(16)
    on_postgresql = there.backend == "postgresql"
    form = postgresql.as_text(id_) if on_postgresql else id_
    row = yield Statement(FIND[there.backend], (application, form))
    if row is None:
        raise ApplicationNotFound(Said("no application {name!r}", name=application))
    for message in messages:
        message.app = postgresql.key_of(row[0])
    return (yield from _publication(there, messages))


def _publication(there: Joined, messages: Sequence[NewMessage]) -> Steps[list[bytes]]:
    if there.backend == "sqlite":
        keys = yield from sqlite.publication(messages, atomic=True)
    else:
        keys = yield from postgresql.publication(messages, atomic=True)
        if not there.calls_back:
            yield postgresql.NOTIFY
    return [key for key in keys if isinstance(key, bytes)]


def _check_backend(there: Joined) -> None:
    if there.backend not in BACKENDS:
        raise SessionMismatch(
            f"session: is on {there.backend}; Hookline keeps events in SQLite or PostgreSQL"
        )


def _raise_if_without_tables(error: Exception) -> None:
    """Say what to do where the database has no tables of ours, or the connection sees none."""
    text = str(error)
    if "hookline_" in text and ("no such table" in text or "does not exist" in text):
        raise StorageError(
            f"{text.splitlines()[0]}: there are no Hookline tables where this connection looks; "
            "migrate the database, or look at the connection's search_path"
        ) from error
