"""Publishing through Django's own connection, as `settings.HOOKLINE` says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import quote, urlencode

try:
    from django.conf import settings as django_settings
    from django.core.exceptions import ImproperlyConfigured
    from django.db import connections
    from django.utils.module_loading import import_string
except ImportError as error:
    raise ImportError("hookline.django needs Django: pip install 'hookline[django]'") from error

from hookline._domain.instance import MISSING, Instance

if TYPE_CHECKING:
    from hookline import SyncWebhooks, Webhooks
    from hookline._app.publishing import Publishable, TriggerOptions
    from hookline._app.sync import SyncReceipt

_IN_MEMORY = "sqlite:///:memory:"
OWN = ("USING", "EVENTS", "ON_EVENT")


@dataclass(frozen=True)
class Configured:
    """What `settings.HOOKLINE` says: which of Django's databases, and the façade on it."""

    using: str
    webhooks: "Webhooks"

    @property
    def sync(self) -> "SyncWebhooks":
        """The façade for code without a loop."""
        return self.webhooks.sync


_configured: list[Configured] = []


def configured() -> Configured:
    """Return what the settings say, read once. Raises ImproperlyConfigured."""
    if not _configured:
        _configured.append(_read(getattr(django_settings, "HOOKLINE", {})))
    return _configured[0]


def forget() -> None:
    """Read the settings anew: a test has changed them."""
    while _configured:
        _configured.pop().webhooks.close()


def using() -> str:
    """Return the alias of Django's database that Hookline is in."""
    alias: str = getattr(django_settings, "HOOKLINE", {}).get("USING", "default")
    return alias


def _read(values: Mapping[str, Any]) -> Configured:
    from hookline import Settings, Webhooks  # noqa: PLC0415 - loads the engine
    from hookline.errors import InvalidSettings  # noqa: PLC0415

    known = {field.name.upper(): field.name for field in fields(Settings)}
    for key in values:
        if key not in known and key not in OWN:
            near = get_close_matches(str(key).upper(), [*known, *OWN], 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ImproperlyConfigured(f"HOOKLINE: there is no setting {key!r}{hint}")
    alias = values.get("USING", "default")
    given = {known[key]: value for key, value in values.items() if key in known}
    given.setdefault("deliver", False)  # `manage.py hookline worker` does
    given.setdefault("migrate", "never")  # `manage.py migrate` does
    moving = "database" not in given
    try:
        if moving:
            # In memory there is nothing an engine could open, which it says when it is to.
            url = _url(alias)
            given["database"] = "sqlite:///in-memory" if url == _IN_MEMORY else url
        webhooks = Webhooks(
            events=_imported(values.get("EVENTS")),
            on_event=_imported(values.get("ON_EVENT")),
            **given,
        )
    except InvalidSettings as error:
        raise ImproperlyConfigured(f"HOOKLINE: {error}") from error
    if moving:  # a test's database has another name than the one the settings were read with
        webhooks._runtime.database = partial(_url, alias)  # noqa: SLF001 - one house
    return Configured(alias, webhooks)


def _imported(value: Any) -> Any:
    return import_string(value) if isinstance(value, str) else value


def _url(alias: str) -> str:
    """Return the URL of one of Django's databases, for the engine's own connections."""
    connection = connections[alias]
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        name = str(settings["NAME"])
        return f"sqlite:///{name}" if _is_file(name) else _IN_MEMORY
    if connection.vendor != "postgresql":
        raise ImproperlyConfigured(
            f"HOOKLINE: the database {alias!r} is {connection.display_name}; Hookline keeps events "
            "in SQLite or PostgreSQL. Name another one with 'USING'"
        )
    return _postgresql_url(settings)


def _is_file(name: str) -> bool:
    return ":memory:" not in name and not name.startswith("file:")


def _postgresql_url(settings: Mapping[str, Any]) -> str:
    user, password, host = (str(settings.get(key) or "") for key in ("USER", "PASSWORD", "HOST"))
    options = settings.get("OPTIONS") or {}
    query = {key: options[key] for key in ("sslmode",) if key in options}
    if host.startswith("/"):
        query["host"], host = host, ""
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    port = f":{settings['PORT']}" if settings.get("PORT") else ""
    if "host" in query and port:
        query["port"], port = port[1:], ""
    where = f"{login}@{host}{port}" if login else f"{host}{port}"
    more = f"?{urlencode(query)}" if query else ""
    return f"postgresql+asyncpg://{where}/{quote(str(settings['NAME']), safe='')}{more}"


# publishing --------------------------------------------------------------------------------------


def trigger(
    event: str | Enum | Instance,
    data: Any = MISSING,
    metadata: Any = None,
    *,
    application: str = "default",
    **options: "Unpack[TriggerOptions]",
) -> "SyncReceipt":
    """Publish an event in Django's transaction: sent when it commits, never when it rolls back.

    Outside of `atomic()` it is committed at once, as what the ORM writes is. Needs no
    `transaction.on_commit`, and nothing but Django's own connection; a worker delivers.
    `application` is the id or uid of whose event it is; the rest is that of `Webhooks.trigger`.
    """
    from hookline import Event  # noqa: PLC0415 - loads the engine

    [receipt] = trigger_many([Event(event, data, metadata, **options)], application=application)
    return receipt


def trigger_many(
    events: "Iterable[Publishable]", *, application: str = "default"
) -> "list[SyncReceipt]":
    """Publish several events in Django's transaction: all of them, or none. See `trigger`."""
    now = configured()
    return now.sync.enclose(connections[now.using], events, application=application)


async def atrigger(
    event: str | Enum | Instance,
    data: Any = MISSING,
    metadata: Any = None,
    *,
    application: str = "default",
    **options: "Unpack[TriggerOptions]",
) -> "SyncReceipt":
    """`trigger` for asynchronous code: on the thread that Django keeps its connections on."""
    from asgiref.sync import sync_to_async  # noqa: PLC0415

    call = partial(trigger, event, data, metadata, application=application, **options)
    return await sync_to_async(call)()


async def atrigger_many(
    events: "Iterable[Publishable]", *, application: str = "default"
) -> "list[SyncReceipt]":
    """`trigger_many` for asynchronous code."""
    from asgiref.sync import sync_to_async  # noqa: PLC0415

    return await sync_to_async(trigger_many)(list(events), application=application)
