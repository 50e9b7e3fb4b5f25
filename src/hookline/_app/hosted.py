"""The façade that a framework has made of its settings, for commands that run inside it."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import NamedTuple

from hookline._app.webhooks import Webhooks


class Host(NamedTuple):
    """A framework's own command line: how it is called, and its façade."""

    command: str
    webhooks: Callable[[], Webhooks]


host: ContextVar[Host | None] = ContextVar("host", default=None)
