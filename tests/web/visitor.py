"""Somebody who visits the pages, over ASGI."""

import re
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

from hookline._web.api.app import build


class Visitor:
    """Somebody with a browser without scripts."""

    def __init__(self, client, prefix=""):
        self.client = client
        self.prefix = prefix
        self.last = None

    async def see(self, path, **options):
        self.last = await self.client.get(self.prefix + path, **options)
        return self.last

    def token(self):
        """Return the token of the forms on the page that was seen last."""
        return re.search(r'name="csrf" value="([^"]*)"', self.last.text)[1]

    async def post(self, path, **fields):
        return await self.client.post(
            self.prefix + path, data={"csrf": self.token(), **fields}, follow_redirects=False
        )

    async def sign_in(self, token):
        await self.see("/sign-in")
        return await self.post("/sign-in", key=token)


@asynccontextmanager
async def visiting(webhooks, scope="admin", *, mounted="", included=None):
    """Give a signed-in visitor of the server, or of an application that has the pages."""
    app = build(webhooks)
    if mounted:
        app = FastAPI()
        app.mount(mounted, webhooks.dashboard())
    if included is not None:
        app, mounted = FastAPI(), f"{included}/hookline"
        app.include_router(webhooks.dashboard(), prefix=included)
    await webhooks.start()
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://hookline.test") as client:
        visitor = Visitor(client, mounted)
        if scope:
            key = await webhooks.create_api_key("ada", [scope])
            answer = await visitor.sign_in(key.token)
            assert answer.status_code == 303, answer.text
            await visitor.see("/apps")
        yield visitor
    await webhooks.stop()
