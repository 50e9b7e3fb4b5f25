"""The façade from inside: what the server needs of it that no application does."""

import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from hookline import ApplicationWebhooks, Webhooks
from hookline._domain.catalogue.described import Declared
from hookline._engine.engine import Engine
from hookline._settings import Settings
from hookline.errors import InvalidSettings

T = TypeVar("T")
KNOWN_SECONDS = 1.0
"""For how long an application's name is not looked up again: as long as others may not notice
that it was renamed or deleted by another process."""
MOST_KNOWN = 10_000


async def on_engine(webhooks: Webhooks, work: Callable[[Engine], Coroutine[Any, Any, T]]) -> T:
    """Do something with the engine, on its loop; it is started when nobody did."""
    return await webhooks._ask(lambda engine, _: work(engine))  # noqa: SLF001 - one house


def event_names(webhooks: Webhooks) -> Sequence[str]:
    """Return the event types that code declares."""
    return webhooks._admission.catalogue.names  # noqa: SLF001 - one house


def declared(webhooks: Webhooks) -> Sequence[Declared]:
    """Return the event types that code declares, with their schemas."""
    return webhooks._events.whole()  # noqa: SLF001 - one house


class Tenants:
    """The façades of applications by their names, remembered for a second."""

    def __init__(self, webhooks: Webhooks) -> None:
        """Ask this façade for what is not known."""
        self._webhooks = webhooks
        self._known: dict[str, tuple[float, ApplicationWebhooks]] = {}

    async def find(self, name: str) -> ApplicationWebhooks:
        """Return the façade of one application by its id or uid; raise ApplicationNotFound."""
        until, found = self._known.get(name, (0.0, None))
        if found is not None and time.monotonic() < until:
            return found
        found = await self._webhooks.for_application(name)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[name] = time.monotonic() + KNOWN_SECONDS, found
        return found

    def forget(self) -> None:
        """Look all of them up again: one was renamed or deleted."""
        self._known.clear()


def check_settings(settings: Settings) -> None:
    """Raise InvalidSettings for settings that a server must not run with."""
    if settings.development or settings.encryption_key or settings.database.startswith("sqlite"):
        return
    raise InvalidSettings(
        "encryption_key: on PostgreSQL a server stores no secrets unencrypted. Make a key with "
        "hookline keys generate and set it as HOOKLINE_ENCRYPTION_KEY "
        "(or set HOOKLINE_DEVELOPMENT=1 on your own machine)"
    )
