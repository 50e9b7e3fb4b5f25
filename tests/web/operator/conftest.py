"""The REST API over ASGI, on each database in turn, with an administrator's client."""

from contextlib import asynccontextmanager

import httpx
import pytest

from hookline import Webhooks
from hookline._web.api.app import build


class Served:
    """A running application, and clients with keys."""

    def __init__(self, webhooks, app):
        self.webhooks = webhooks
        self.app = app

    def client(self, token):
        """Return a client that shows a token."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://hookline.test/api/v1",
            headers={"Authorization": f"Bearer {token}"},
        )

    async def status(self, scopes, method, path, **options):
        """Return how a request with a key of these scopes is answered."""
        key = await self.webhooks.create_api_key("other", scopes)
        async with self.client(key.token) as client:
            return (await client.request(method, path, **options)).status_code


@pytest.fixture
def serve(database_url, monkeypatch, tmp_path):
    """Return what gives a `Served`: `async with serve() as s`."""
    monkeypatch.chdir(tmp_path)

    @asynccontextmanager
    async def serving(**settings):
        webhooks = Webhooks(**{"database": database_url, "deliver": False, **settings})
        app = build(webhooks)
        async with app.router.lifespan_context(app):
            served = Served(webhooks, app)
            key = await webhooks.create_api_key("operator", ["admin"])
            async with served.client(key.token) as client:
                served.api, served.key = client, key
                yield served

    return serving
