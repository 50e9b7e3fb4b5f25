"""Applications: the customers whose endpoints get webhooks."""

from collections.abc import Mapping
from typing import Any

from hookline._app.scope import Deployment
from hookline._domain import ids
from hookline._domain.application import Application, checked
from hookline._domain.operational import OPERATIONAL
from hookline._domain.page import Page, Window
from hookline._engine.engine import Engine
from hookline._said import Said
from hookline.errors import ApplicationNotFound, InvalidInput


class Applications(Deployment):
    """The applications of a deployment. Each is known by its id (`app_…`), or by its `uid`.

    `rate_limit` bounds the requests per second to all of its endpoints together, `metadata` is
    yours: 50 texts by name. `default` exists from the start: what code and file declare is in it.
    """

    async def create(
        self,
        name: str,
        *,
        uid: str | None = None,
        rate_limit: float | None = None,
        metadata: Mapping[str, str] | None = None,
        key: bytes | None = None,
    ) -> Application:
        """Make an application. Raises AlreadyExists for a uid that is taken, InvalidInput.

        `key` makes a second try find what the first one made.
        """
        values = _checked(name, uid, rate_limit, metadata)
        made, _ = await self._ask(
            lambda e: e.store.applications.create(values, e.clock.now(), key=key)
        )
        return made

    async def ensure(
        self,
        name: str,
        *,
        uid: str,
        rate_limit: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> tuple[Application, bool]:
        """Return the application with that uid, made when there is none, and whether it was."""
        values = _checked(name, uid, rate_limit, metadata)
        return await self._ask(
            lambda e: e.store.applications.create(values, e.clock.now(), get_if_exists=True)
        )

    async def restore(self, values: Mapping[str, Any]) -> Application:
        """Make an application from its fields; with an `id`, it keeps that. Raises as `create`."""
        row = checked({name: value for name, value in values.items() if name != "id"})
        key = ids.decode(ids.APPLICATION, values.get("id") or "")
        made, _ = await self._ask(
            lambda e: e.store.applications.create(row, e.clock.now(), key=key)
        )
        return made

    async def get(self, name: str) -> Application:
        """Return an application by id or uid; raise ApplicationNotFound."""

        async def get(engine: Engine) -> Application | None:
            key = await engine.store.applications.key(name)
            return None if key is None else await engine.store.applications.get(key)

        return _found(await self._ask(get), name)

    async def page(self, window: Window | None = None) -> Page[Application]:
        """Return a part of the applications, in the order they were made."""
        return await self._ask(lambda e: e.store.applications.page(window or Window()))

    async def update(self, application: str, /, **changes: Any) -> Application:
        """Change what is named: `name`, `uid`, `rate_limit`, `metadata`. Raises as `create`."""
        for field in changes:
            if field not in ("name", "uid", "rate_limit", "metadata"):
                raise InvalidInput(f"{field}: an application has no such field")
        if "metadata" in changes:
            changes["metadata"] = changes["metadata"] or {}
        values = checked(changes)

        async def update(engine: Engine) -> Application | None:
            key = await engine.store.applications.key(application)
            if key == engine.app and "uid" in values and values["uid"] != DEFAULT:
                raise InvalidInput(
                    Said("uid: that of the application {name!r} cannot be changed", name=DEFAULT)
                )
            if key is None:
                return None
            await _check_listed(engine, key)
            return await engine.store.applications.update(key, values, engine.clock.now())

        return _found(await self._ask(update), application)

    async def delete(self, name: str) -> None:
        """Delete an application and all that belongs to it, its endpoints at once.

        Messages and log are removed in the background. Raises ApplicationNotFound.
        """

        async def delete(engine: Engine) -> bool:
            key = await engine.store.applications.key(name)
            if key == engine.app:
                raise InvalidInput(Said("the application {name!r} cannot be deleted", name=DEFAULT))
            if key is not None:
                await _check_listed(engine, key)
            return key is not None and await engine.store.applications.delete(
                key, engine.clock.now()
            )

        if not await self._ask(delete):
            raise ApplicationNotFound(Said("no application {name!r}", name=name))


DEFAULT = "default"


async def _check_listed(engine: Engine, key: bytes) -> None:
    found = await engine.store.applications.get(key)
    if found is not None and found.uid == OPERATIONAL:
        raise InvalidInput(
            Said("the application {name!r} cannot be changed or deleted", name=OPERATIONAL)
        )


def _found(found: Application | None, name: str) -> Application:
    if found is None:
        raise ApplicationNotFound(Said("no application {name!r}", name=name))
    return found


def _checked(
    name: str, uid: str | None, rate_limit: float | None, metadata: Mapping[str, str] | None
) -> dict[str, Any]:
    return checked({"name": name, "uid": uid, "rate_limit": rate_limit, "metadata": metadata or {}})
