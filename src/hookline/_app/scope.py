"""What all parts of an application's façade stand on: whose it is, and the engine behind it."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from hookline._app.admission import Admission
from hookline._app.runtime import Runtime
from hookline._domain import ids
from hookline._domain import url as url_parser
from hookline._domain.endpoint import Endpoint
from hookline._engine.engine import Engine
from hookline._said import Said
from hookline.errors import (
    ApplicationNotFound,
    EndpointDisabled,
    EndpointNotFound,
    InvalidUrl,
    MessageNotFound,
)

T = TypeVar("T")


class Deployment:
    """All applications of a deployment."""

    def __init__(self, runtime: Runtime) -> None:
        """Ask the engine of this runtime."""
        self._runtime = runtime

    async def _ask(self, question: Callable[[Engine], Coroutine[Any, Any, T]]) -> T:
        """Ask the engine, on its own loop."""
        engine = await self._runtime.running()
        return await self._runtime.on_home(question(engine))


class Scope:
    """One application. What belongs to another is not found through it."""

    def __init__(self, runtime: Runtime, admission: Admission, key: bytes | None = None) -> None:
        """`key` is the application's, None for the default one."""
        self._runtime = runtime
        self._admission = admission
        self._key = key

    def _app(self, engine: Engine) -> bytes:
        return engine.app if self._key is None else self._key

    async def _ask(self, question: Callable[[Engine, bytes], Coroutine[Any, Any, T]]) -> T:
        """Ask the engine, about this application, on its own loop."""
        engine = await self._runtime.running()
        return await self._runtime.on_home(question(engine, self._app(engine)))

    async def _message_key(self, name: str) -> bytes:
        """Return the key of a message of this application by id or event id."""
        key = await self._ask(lambda e, app: e.store.history.message_key(app, name))
        if key is None:
            raise MessageNotFound(Said("no message {name!r} (any more)", name=name))
        return key

    async def _endpoint_key(self, endpoint: str | Endpoint) -> bytes:
        return stored_key(await self._found(endpoint))

    async def _found(self, endpoint: str | Endpoint) -> Endpoint:
        wanted = (endpoint.id or endpoint.url) if isinstance(endpoint, Endpoint) else endpoint
        return await self.endpoint(wanted)

    async def endpoint(self, name: str) -> Endpoint:
        """Return one endpoint by id (`ep_…`), uid or URL; raise EndpointNotFound."""
        names = {name}
        with suppress(InvalidUrl):
            names.add(str(url_parser.parse(name)))  # as it is stored
        found = await self._ask(lambda e, app: e.store.endpoints.find(app, names))
        if found is None:
            raise EndpointNotFound(Said("no endpoint {name!r}", name=name))
        return found


def stored_key(endpoint: Endpoint) -> bytes:
    """Return the key of a stored endpoint."""
    key = ids.decode(ids.ENDPOINT, endpoint.id or "")
    if key is None:
        raise EndpointNotFound(Said("no endpoint {name!r}", name=endpoint.url))
    return key


async def application_key(engine: Engine, name: str) -> bytes:
    """Return the key of an application by id or uid; raise ApplicationNotFound."""
    key = await engine.store.applications.key(name)
    if key is None:
        raise ApplicationNotFound(Said("no application {name!r}", name=name))
    return key


def check_verified(endpoint: Endpoint) -> None:
    """Refuse to send anything but its challenge to a pending endpoint."""
    if endpoint.pending_since is not None:
        reason = endpoint.pending_reason
        why = Said(" ({reason})", reason=reason) if reason else ""
        raise EndpointDisabled(
            Said(
                "endpoint {url} is pending{why}: verify it first, with await "
                "webhooks.verify_endpoint(…), which also sends what is held",
                url=endpoint.url,
                why=why,
            )
        )
