"""What an operator sees at a glance, over all applications."""

from collections.abc import Iterable

from hookline._app.scope import Deployment, application_key
from hookline._domain import ids
from hookline._domain.history import Filter
from hookline._domain.overview import DeadLetter, Stands, Trouble, Waiting
from hookline._domain.page import NEWEST, Page, Window
from hookline._engine.engine import Engine


class Overview(Deployment):
    """Looks over all applications of a deployment. Nothing here counts more than a bounded part."""

    async def backlog(self) -> Waiting:
        """Return what is due and was not sent yet."""
        return await self._ask(lambda e: e.store.overview.backlog(e.clock.now()))

    async def troubled(self, limit: int = 50) -> list[Trouble]:
        """Return endpoints that fail, whose circuit is open, or that are disabled."""
        return await self._ask(lambda e: e.store.overview.troubled(limit))

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

    async def owners(self, endpoints: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Return application id and URL of endpoints, by their ids; those that are gone are not."""
        keys = {ids.decode(ids.ENDPOINT, each) or b"": each for each in endpoints}
        found = await self._ask(lambda e: e.store.overview.owners(keys))
        return {
            keys[key]: (ids.encode(ids.APPLICATION, app), url) for key, (app, url) in found.items()
        }

    async def listening(self, limit: int = 1000) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """Return application id, endpoint id, URL and subscriptions of the enabled endpoints."""
        return await self._ask(lambda e: e.store.overview.listening(limit))
