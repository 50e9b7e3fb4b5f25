"""The application over ASGI, on each database in turn, with routes to try the rules on."""

import asyncio
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, Query, Request, Response

from hookline import Webhooks
from hookline._domain import ids
from hookline._domain.page import Window
from hookline._web import bodies
from hookline._web.answers import NO_STORE, Answer
from hookline._web.api import repeats
from hookline._web.api.app import ROUTERS, build
from hookline._web.api.callers import Admin, Caller, Reader, Reading, Writing, facade
from hookline._web.api.lists import EventTypes, Paged, listed
from hookline._web.api.models.applications import ApplicationIn, ApplicationOut
from hookline._web.api.models.wire import Listed, Time, Wire
from hookline._web.api.routes import Router, errors_of
from hookline._web.engine import on_engine

THINGS = Paged(ids.APPLICATION)


class Probe:
    """Routes that do what a test tells them, and count how often."""

    def __init__(self):
        self.router = Router("Probe")
        self.calls = []
        self.act = None
        add = self.router.add_api_route
        add("/probe/raise", self.do, methods=["GET"], include_in_schema=False)
        add("/probe/raise", self.do, methods=["POST"], responses=errors_of(404))
        add("/probe/model", self.model, methods=["POST"], response_model=ApplicationOut)
        add("/probe/make", self.make, methods=["POST"], status_code=201)
        add("/probe/secret", self.secret, methods=["POST"])
        add("/probe/nothing", self.nothing, methods=["POST"], status_code=204)
        add("/probe/message", self.message, methods=["POST"])
        add("/probe/caller", self.caller, methods=["GET"])
        add("/probe/reader", self.reader, methods=["GET"])
        add("/probe/admin", self.admin, methods=["GET"])
        add("/app/{app_id}/probe", self.look, methods=["GET"])
        add("/app/{app_id}/probe", self.change, methods=["POST"])
        add("/probe/things", self.things, methods=["GET"], response_model=Listed[ApplicationOut])
        add("/probe/names", self.names, methods=["GET"])
        add("/probe/times", self.times, methods=["GET"])

    async def do(self, request: Request) -> Answer:
        self.calls.append(await request.body())
        return await self.act(request)

    async def model(self, body: ApplicationIn) -> Answer:
        self.calls.append(body)
        return Answer({"name": body.name, "throttleRate": body.throttle_rate})

    async def make(self, request: Request, caller: Caller) -> Answer:
        self.calls.append(repeats.resource(request))
        if self.act is not None:
            await self.act(request)
        document = {"n": len(self.calls), "raw": bodies.raw_member(await request.body(), "name")}
        return Answer({"n": document["n"], "name": (document["raw"] or b"").decode()}, 201)

    async def secret(self, caller: Caller) -> Answer:
        self.calls.append(None)
        return Answer({"token": "hk_secret"}, headers=NO_STORE)

    async def nothing(self, caller: Caller) -> Answer:
        self.calls.append(None)
        return Response(status_code=204)

    @repeats.by_itself
    async def message(self, request: Request, caller: Caller) -> Answer:
        self.calls.append(None)
        return Answer({"key": await repeats.message_key(request)})

    async def caller(self, caller: Caller) -> Answer:
        return Answer({"name": caller.name})

    async def reader(self, caller: Reader) -> Answer:
        return Answer({"name": caller.name})

    async def admin(self, caller: Admin) -> Answer:
        return Answer({"name": caller.name})

    async def look(self, application: Reading) -> Answer:
        return Answer({"same": application is not None})

    async def change(self, application: Writing) -> Answer:
        return Answer({"same": application is not None})

    async def things(
        self, request: Request, caller: Reader, window: Annotated[Window, Depends(THINGS.window)]
    ) -> Answer:
        page = await on_engine(facade(request), lambda e: e.store.applications.page(window))
        return Answer(
            listed(page, lambda a: {"id": a.id, "uid": a.uid}, lambda a: a.id, ids.APPLICATION)
        )

    async def names(self, event_types: EventTypes) -> Answer:
        return Answer(list(event_types))

    async def times(self, at: Annotated[Time, Query()], flag: bool = False) -> Answer:
        return Answer(Moment(at=at))


class Moment(Wire):
    at: Time


class Served:
    """A running application and a client with an administrator's key."""

    def __init__(self, webhooks, probe, app):
        self.webhooks = webhooks
        self.probe = probe
        self.app = app

    async def key(self, *scopes, name="test", **options):
        """Make a key."""
        return await self.webhooks.create_api_key(name, scopes or ["admin"], **options)

    def client(self, token=None, **options):
        """Return a client that shows a token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://hookline.test",
            headers=headers,
            **options,
        )


@asynccontextmanager
async def serving(**settings):
    """Give a `Served`, with its engine running."""
    webhooks, probe = Webhooks(**settings), Probe()
    app = build(webhooks, [*ROUTERS, probe.router])
    async with app.router.lifespan_context(app):
        served = Served(webhooks, probe, app)
        served.token = (await served.key()).token
        async with served.client(served.token) as client:
            served.api = client
            yield served


@pytest.fixture
def serve(database_file, monkeypatch, tmp_path):
    """Return what gives a `Served` on an SQLite file: `async with serve() as s`."""
    monkeypatch.chdir(tmp_path)
    return lambda **options: serving(
        **{"database": f"sqlite:///{database_file}", "deliver": False, **options}
    )


@pytest.fixture
def serve_each(database_url, monkeypatch, tmp_path):
    """Return what gives a `Served` on each database in turn."""
    monkeypatch.chdir(tmp_path)
    return lambda **options: serving(**{"database": database_url, "deliver": False, **options})


@pytest.fixture
def gate():
    """Two events: what was reached, and what lets it go on."""
    return asyncio.Event(), asyncio.Event()
