"""What publishing says to SQLite, on whichever connection."""

from collections.abc import Sequence

from hookline._domain import ids
from hookline._engine.publish import IDEMPOTENCY_WINDOW, conflict
from hookline._ports import NewMessage
from hookline._storage.rows import marks
from hookline._storage.sql import load
from hookline._storage.steps import Statement, Steps

SQL = load("hookline._storage.sqlite")


def publication(
    messages: Sequence[NewMessage], *, atomic: bool = False
) -> Steps[list[bytes | Exception]]:
    """Publish; return the key each is known by, or why not; with `atomic`, raise that."""
    results: list[bytes | Exception] = []
    fresh = []
    for message in messages:
        result = yield from _remember(message)
        if isinstance(result, Exception) and atomic:
            raise result
        if result is message.key:
            fresh.append(message)
        results.append(result)
    rows = [
        (m.key, m.app, m.event_type, m.body, *marks(m), m.created_at, m.deliver_at) for m in fresh
    ]
    if rows:
        yield Statement(SQL["insert_message"], rows, many=True)
        yield Statement(SQL["insert_outbox"], [(m.due_at, m.key) for m in fresh], many=True)
    return results


def _remember(message: NewMessage) -> Steps[bytes | Exception]:
    """Return the key of the message its idempotency key stands for: its own when it is new."""
    if message.idempotency_key is None:
        return message.key
    published = ids.milliseconds(message.key)
    values = {
        "app": message.app,
        "key": message.idempotency_key,
        "message": message.key,
        "digest": message.digest,
        "now": published,
        "expires_at": published + IDEMPOTENCY_WINDOW,
    }
    if (yield Statement(SQL["remember_key"], values)) is not None:
        return message.key
    row = yield Statement(SQL["find_key"], (message.app, message.idempotency_key))
    assert row is not None  # noqa: S101 - whoever has the key holds it to the end of this
    older, digest = row
    return bytes(older) if bytes(digest) == message.digest else conflict(message.idempotency_key)
