"""What an operator sees at a glance, over all applications."""

from collections.abc import Iterable

from hookline._app.scope import Deployment, application_key
from hookline._domain import ids
from hookline._domain.backlog import Backlog
from hookline._domain.endpoint import Endpoint
from hookline._domain.history import Filter
from hookline._domain.overview import DeadLetter, Glance, Stands, Trouble
from hookline._domain.page import NEWEST, Page, Window
from hookline._engine.engine import Engine
from hookline._said import Said
from hookline.errors import MessageNotFound


class Overview(Deployment):
    """Looks over all applications of a deployment. Nothing here counts more than a bounded part."""

    async def backlog(self, application: str | None = None) -> Backlog:
        """Return what waits, in one application (id or uid) or in all.

        Raises ApplicationNotFound.
        """

        async def look(engine: Engine) -> Backlog:
            app = None if application is None else await application_key(engine, application)
            return await engine.store.backlog(engine.clock.now(), app)

        return await self._ask(look)

    async def glances(self, endpoints: Iterable[Endpoint]) -> dict[str, Glance]:
        """Return how each of these endpoints is doing, by their ids."""
        keys = {ids.decode(ids.ENDPOINT, each.id or "") or b"": each.id or "" for each in endpoints}
        found = await self._ask(lambda e: e.store.overview.glances(keys, e.clock.now()))
        return {keys[key]: glance for key, glance in found.items()}

    async def troubled(self, limit: int = 50, application: str | None = None) -> list[Trouble]:
        """Return endpoints that fail, whose circuit is open, or that are disabled.

        Those of one application (id or uid), or of all. Raises ApplicationNotFound.
        """

        async def look(engine: Engine) -> list[Trouble]:
            app = None if application is None else await application_key(engine, application)
            return await engine.store.overview.troubled(limit, app)

        return await self._ask(look)

    async def dead_letters(
        self,
        application: str | None = None,
        wanted: Filter | None = None,
        window: Window | None = None,
    ) -> Page[DeadLetter]:
        """Return deliveries whose last attempt failed, those of the newest messages first.

        `application` by id or uid; of the filter count times, event types and the endpoint. Raises
        ApplicationNotFound.
        """

        async def look(engine: Engine) -> Page[DeadLetter]:
            app = None if application is None else await application_key(engine, application)
            which, part = wanted or Filter(), window or NEWEST
            return await engine.store.overview.dead_letters(app, which, part)

        return await self._ask(look)

    async def messages(
        self,
        application: str | None = None,
        wanted: Filter | None = None,
        window: Window | None = None,
    ) -> Page[Stands]:
        """Return messages, the newest first, and how their deliveries stand.

        Those of an application (id or uid), or of all. Of the filter, `states` and `endpoint` are
        about deliveries. Raises ApplicationNotFound.
        """

        async def look(engine: Engine) -> Page[Stands]:
            app = None if application is None else await application_key(engine, application)
            which, part = wanted or Filter(), window or NEWEST
            return await engine.store.overview.messages(app, which, part, engine.clock.now())

        return await self._ask(look)

    async def owner(self, message_id: str) -> str:
        """Return the id of the application whose message it is; raise MessageNotFound."""
        key = ids.decode(ids.MESSAGE, message_id)
        found = None if key is None else await self._ask(lambda e: e.store.overview.owner(key))
        if found is None:
            raise MessageNotFound(Said("no message {name!r} (any more)", name=message_id))
        return ids.encode(ids.APPLICATION, found)

    async def listening(self, limit: int = 1000) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """Return application id, endpoint id, URL and subscriptions of the enabled endpoints."""
        return await self._ask(lambda e: e.store.overview.listening(limit))
