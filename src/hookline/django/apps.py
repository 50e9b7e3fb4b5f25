"""The application `hookline`, of `INSTALLED_APPS = ["hookline.django"]`."""

import os
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_started, setting_changed

from hookline.django._publish import configured, forget
from hookline.errors import StorageError


class HooklineConfig(AppConfig):
    """Webhooks: tables, admin, management command."""

    name = "hookline.django"
    label = "hookline"
    verbose_name = "Webhooks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register checks and signals. Reads no settings yet, and opens nothing."""
        register(_check, Tags.database)
        register(_check_settings)
        setting_changed.connect(_changed, dispatch_uid="hookline")
        request_started.connect(_first_request, dispatch_uid="hookline")


def _changed(*, setting: str, **_: Any) -> None:
    if setting in {"HOOKLINE", "DATABASES"}:
        forget()


_started: set[int] = set()


def _first_request(**_: Any) -> None:
    """Start delivering with the first request, where the settings say that this process does.

    Not before: a server may fork between loading the application and serving it.
    """
    if os.getpid() in _started:
        return
    _started.add(os.getpid())
    now = configured()
    if now.webhooks.settings.deliver:
        now.webhooks.init()


def _check_settings(**_: Any) -> list[CheckMessage]:
    try:
        configured()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="hookline.E001")]
    except ImportError as error:
        hint = "EVENTS and ON_EVENT are dotted paths to what they name"
        return [Error(f"HOOKLINE: {error}", hint=hint, id="hookline.E002")]
    return []


def _check(*, databases: Any = None, **_: Any) -> list[CheckMessage]:
    """Look whether the tables are those of this version; only where databases are looked at."""
    if _check_settings():
        return []
    now = configured()
    if now.using not in (databases or ()) or ":memory:" in now.webhooks._runtime.database():  # noqa: SLF001
        return []
    try:
        schema = now.sync.schema()
    except StorageError as error:
        return [Warning(f"Hookline's database: {error}", id="hookline.W001")]
    if schema.current:
        return []
    return [
        Warning(
            f"Hookline's tables are at version {schema.found}, {schema.needed} is needed.",
            hint="Run manage.py migrate.",
            id="hookline.W002",
        )
    ]
