"""What an operator sees at a glance, over all applications."""

from collections.abc import Iterable

from hookline._app.scope import Deployment, application_key
from hookline._domain import ids
from hookline._domain.backlog import Backlog
from hookline._domain.endpoint import Endpoint
from hookline._domain.history import Filter
from hookline._domain.overview import DeadLetter, Stands, Trouble
from hookline._domain.page import NEWEST, Page, Window
from hookline._engine.engine import Engine


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

    async def due(self, endpoints: Iterable[Endpoint]) -> dict[str, int]:
        """Return how many deliveries are due at each of these endpoints, by their ids."""
        keys = {ids.decode(ids.ENDPOINT, each.id or "") or b"": each.id or "" for each in endpoints}
        found = await self._ask(lambda e: e.store.overview.due(keys, e.clock.now()))
        return {keys[key]: count for key, count in found.items()}

    async def troubled(self, limit: int = 50, application: str | None = None) -> list[Trouble]:
        """Return endpoints that fail, whose circuit is open, or that are disabled.

        Those of one application (id or uid), or of all. Raises ApplicationNotFound.
        """

        async def look(engine: Engine) -> list[Trouble]:
            app = None if application is None else await application_key(engine, application)
            return await engine.store.overview.troubled(limit, app)

        return await self._ask(look)

    async def trouble(self, endpoints: Iterable[Endpoint]) -> dict[str, Trouble]:
        """Return which of these endpoints fail or are disabled, by their ids."""
        keys = [ids.decode(ids.ENDPOINT, each.id or "") or b"" for each in endpoints]
        found = await self._ask(lambda e: e.store.overview.troubled(len(keys), keys=keys))
        return {each.endpoint_id: each for each in found}

    async def dead_letters(
        self,
        application: str | None = None,
        endpoint: str | None = None,
        window: Window | None = None,
    ) -> Page[DeadLetter]:
        """Return deliveries whose last attempt failed, those of the newest messages first.

        `application` by id or uid, `endpoint` by id. Raises ApplicationNotFound.
        """
        own = None if endpoint is None else ids.decode(ids.ENDPOINT, endpoint) or b""

        async def look(engine: Engine) -> Page[DeadLetter]:
            app = None if application is None else await application_key(engine, application)
            return await engine.store.overview.dead_letters(app, own, window or NEWEST)

        return await self._ask(look)

    async def messages(
        self, application: str, wanted: Filter | None = None, window: Window | None = None
    ) -> Page[Stands]:
        """Return messages of an application, the newest first, and how their deliveries stand.

        Of the filter, `states` and `endpoint` are about deliveries. Raises ApplicationNotFound.
        """

        async def look(engine: Engine) -> Page[Stands]:
            app = await application_key(engine, application)
            which, part = wanted or Filter(), window or NEWEST
            return await engine.store.overview.messages(app, which, part, engine.clock.now())

        return await self._ask(look)

    async def listening(self, limit: int = 1000) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """Return application id, endpoint id, URL and subscriptions of the enabled endpoints."""
        return await self._ask(lambda e: e.store.overview.listening(limit))
