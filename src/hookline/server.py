"""The server as an ASGI application: REST API, its documentation, and workers in one process.

hookline serve                                     # the usual way
uvicorn --factory hookline.server:create_app       # as any ASGI application
"""

from typing import TYPE_CHECKING, Any

from hookline import Webhooks
from hookline.errors import InvalidSettings

try:
    from hookline._web.api.app import build
    from hookline._web.engine import check_settings
except ImportError as error:
    raise ImportError(
        f"hookline.server needs {error.name or error}: pip install 'hookline[server]'",
        name=error.name,
    ) from error

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["create_app"]


def create_app(webhooks: Webhooks | None = None, **settings: Any) -> "FastAPI":
    """Return the server's application on a façade, or on a new one with these settings.

    Its lifespan starts the engine and, when the server stops, finishes what is being delivered.
    Raises InvalidSettings for a setting that cannot be used, and on PostgreSQL without a key to
    encrypt secrets with, unless `development` is set.
    """
    if webhooks is not None and settings:
        raise InvalidSettings("settings: give either a Webhooks object or settings")
    webhooks = webhooks or Webhooks(**settings)
    check_settings(webhooks.settings)
    return build(webhooks)
