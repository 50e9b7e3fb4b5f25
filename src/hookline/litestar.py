"""Litestar: a plugin that starts, drains, publishes in the request's session.

app = Litestar([place], plugins=[HooklinePlugin(webhooks, session="db_session")])

@post("/orders")
async def place(data: Order, publisher: NamedDependency[Publisher]) -> None: ...

To receive webhooks, mount an application of `hookline.asgi`.
"""

import inspect
from typing import Any

try:
    from litestar import asgi
    from litestar.config.app import AppConfig
    from litestar.di import NamedDependency, Provide
    from litestar.plugins import InitPluginProtocol
except ImportError as error:
    raise ImportError(
        "hookline.litestar needs Litestar: pip install 'hookline[litestar]'"
    ) from error

from hookline import Publisher, Webhooks

__all__ = ["HooklinePlugin"]


class HooklinePlugin(InitPluginProtocol):
    """Starts `webhooks` with the application, drains it at the end, and gives it to handlers.

    Handlers get `webhooks` and, where `session` names the dependency that gives the request's
    SQLAlchemy session, `publisher`: what it triggers is part of that session's transaction. The
    plugin of Advanced Alchemy calls that dependency `db_session`. `dashboard` is the path at which
    the operators' pages are mounted, which needs `hookline[server]`.
    """

    def __init__(
        self, webhooks: Webhooks, *, session: str | None = None, dashboard: str | None = None
    ) -> None:
        """Nothing is opened before the application starts."""
        self._webhooks = webhooks
        self._session = session
        self._dashboard = dashboard

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add lifespan, dependencies and pages to the application's own."""
        app_config.lifespan = [*(app_config.lifespan or ()), self._webhooks.lifespan]
        app_config.signature_types = [*app_config.signature_types, Webhooks, Publisher]
        given = {"webhooks": Provide(lambda: self._webhooks, sync_to_thread=False)}
        if self._session is not None:
            given["publisher"] = Provide(self._publisher(self._session), sync_to_thread=False)
        app_config.dependencies = {**given, **app_config.dependencies}
        if self._dashboard is not None:
            mount = asgi(self._dashboard, is_mount=True, copy_scope=True)
            app_config.route_handlers.append(
                mount(_mounted(self._webhooks.dashboard(), self._dashboard.rstrip("/")))
            )
        return app_config

    def _publisher(self, session: str) -> Any:
        def within(**held: Any) -> Publisher:
            return self._webhooks.within(held[session])

        # Litestar injects by name, and the name is the application's.
        given = NamedDependency[Any]
        parameter = inspect.Parameter(session, inspect.Parameter.KEYWORD_ONLY, annotation=given)
        within.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [parameter], return_annotation=Publisher
        )
        within.__annotations__ = {session: given, "return": Publisher}
        return within


def _mounted(app: Any, at: str) -> Any:
    """Return an application that is told where it is mounted: Litestar takes the prefix away."""

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        root = scope.get("root_path", "") + at
        path = scope["path"].removeprefix(root)
        await app({**scope, "root_path": root, "path": root + path}, receive, send)

    return mounted
