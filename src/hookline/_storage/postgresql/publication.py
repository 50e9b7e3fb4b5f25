"""What publishing says to PostgreSQL, on whichever connection."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from hookline._domain import ids
from hookline._engine.publish import IDEMPOTENCY_WINDOW, conflict
from hookline._ports import NewMessage
from hookline._storage.rows import MARKS, marks
from hookline._storage.sql import load
from hookline._storage.steps import Statement, Steps

SQL = load("hookline._storage.postgresql")
CHANNEL = "hookline"
NOTIFY = Statement(f"NOTIFY {CHANNEL}")
"""Heard by the workers once the transaction it is in commits."""
Form = Callable[[bytes], Any]
"""A key as the driver takes it."""


def as_text(key: bytes) -> str:
    """Return a key as every driver takes it for a uuid."""
    return str(UUID(bytes=key))


def publication(
    messages: Sequence[NewMessage], *, atomic: bool = False, form: Form = as_text
) -> Steps[list[bytes | Exception]]:
    """Publish; return the key each is known by, or why not; with `atomic`, raise that."""
    results: list[bytes | Exception] = []
    fresh = []
    for message in messages:
        result = yield from _remember(message, form)
        if isinstance(result, Exception) and atomic:
            raise result
        if result == message.key:  # also when it was remembered by a try whose answer got lost
            fresh.append(message)
        results.append(result)
    if fresh:
        yield Statement(SQL["publish"], _columns(fresh, form))
    return results


def _columns(messages: Sequence[NewMessage], form: Form) -> tuple[list[Any], ...]:
    """Return messages as arrays for unnest."""
    marked = [marks(m) for m in messages]
    return (
        [form(m.key) for m in messages],
        [form(m.app) for m in messages],
        [m.event_type for m in messages],
        [m.body for m in messages],
        *([row[i] for row in marked] for i in range(len(MARKS))),
        [m.created_at for m in messages],
        [m.deliver_at for m in messages],
        [m.due_at for m in messages],
    )


def _remember(message: NewMessage, form: Form) -> Steps[bytes | Exception]:
    """Return the key of the message its idempotency key stands for: its own when it is new."""
    if message.idempotency_key is None:
        return message.key
    published = ids.milliseconds(message.key)
    values = (
        form(message.app),
        message.idempotency_key,
        form(message.key),
        message.digest,
        published + IDEMPOTENCY_WINDOW,
        published,
    )
    if (yield Statement(SQL["remember_key"], values)) is not None:
        return message.key
    row = yield Statement(SQL["find_key"], (form(message.app), message.idempotency_key))
    assert row is not None  # noqa: S101 - whoever has the key holds it to the end of this
    older, digest = row
    if bytes(digest) != message.digest:
        return conflict(message.idempotency_key)
    return key_of(older)


def key_of(value: Any) -> bytes:
    """Return the key in a uuid column, whatever the driver makes of it."""
    if isinstance(value, UUID):
        return value.bytes
    return UUID(value).bytes if isinstance(value, str) else bytes(value)
