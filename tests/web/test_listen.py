"""The stream of an application's messages over REST: who may, how many, from where, until when."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from hookline._app import history
from hookline._web.api import listen


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Look often."""
    monkeypatch.setattr(history, "LOOK", 0.02)


class Stream:
    """One request over ASGI, whose answer is read as it comes."""

    def __init__(self, app, token, path, headers=()):
        self._chunks = asyncio.Queue()
        self._gone = asyncio.Event()
        path, _, query = path.partition("?")
        named = [(b"authorization", f"Bearer {token}".encode()), *headers]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": named,
            "server": ("test", 80),
            "client": ("127.0.0.1", 1),
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._chunks.put))

    async def _receive(self):
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def status(self):
        return (await self._chunks.get())["status"]

    async def event(self, kind="message"):
        """Return id and data of the next event of a kind; None at the end."""
        while True:
            chunk = await self._chunks.get()
            if chunk["type"] == "http.response.start":
                continue
            if not chunk["body"]:
                return None
            fields = dict(
                line.split(": ", 1) for line in chunk["body"].decode().splitlines() if line
            )
            if fields["event"] == kind:
                return fields["id"], json.loads(fields["data"])

    async def leave(self):
        self._gone.set()
        await self.task


@pytest.fixture
def listening():
    """Return what gives a `Stream` of the default application."""

    @asynccontextmanager
    async def listening(served, token=None, path="/api/v1/app/default/listen", headers=()):
        stream = Stream(served.app, token or served.token, path, headers)
        try:
            yield stream
        finally:
            await stream.leave()

    return listening


async def test_messages_come_as_they_are_published(serve_each, listening):
    """With the body an endpoint is sent, byte for byte; first of all where it begins."""
    async with serve_each() as served, listening(served) as stream:
        assert await stream.status() == 200
        assert (await stream.event("tick"))[0].startswith("msg_")
        body = b'{ "a":\r\n "\xc3\xa9" }'
        receipt = await served.webhooks.publish("a.b", body, channels=["c"], event_id="own")
        name, document = await stream.event()
        assert name == document["id"] == receipt.message_id
        assert document["body"].encode() == body
        assert (document["eventType"], document["channels"]) == ("a.b", ["c"])
        assert (document["eventId"], "payload" in document) == ("own", False)


async def test_it_is_narrowed_and_goes_on(serve, listening):
    """By event types and channels; after the last id it sends what was missed."""
    async with serve() as served:
        path = "/api/v1/app/default/listen?event_types=a.*&channel=c"
        async with listening(served, path=path) as stream:
            await stream.event("tick")
            await served.webhooks.trigger("x.y", {}, channels=["c"])
            await served.webhooks.trigger("a.b", {})
            wanted = await served.webhooks.trigger("a.b", {}, channels=["c"])
            assert (await stream.event())[0] == wanted.message_id
        missed = await served.webhooks.trigger("a.c", {}, channels=["c"])
        last = [(b"last-event-id", wanted.message_id.encode())]
        async with listening(served, path=path, headers=last) as stream:
            assert (await stream.event())[0] == wanted.message_id
            assert (await stream.event())[0] == missed.message_id


async def test_a_key_that_reads_the_application_is_enough(serve, listening):
    """One of another application finds nothing there."""
    async with serve() as served:
        await served.webhooks.applications.create("Other", uid="other")
        mine = await served.key("application:default", "read")
        other = await served.key("application:other")
        async with listening(served, mine.token) as stream:
            assert await stream.status() == 200
        async with listening(served, other.token) as stream:
            assert await stream.status() == 404
        async with listening(served, "hk_wrong") as stream:
            assert await stream.status() == 401


async def test_what_it_cannot_follow_is_told_with_a_status(serve):
    """Before any stream begins."""
    async with serve() as served:
        for query, headers in (
            ("?event_types=a%20b", {}),
            ("", {"last-event-id": "msg_x"}),
            ("?since=soon", {}),
        ):
            answer = await served.api.get(f"/api/v1/app/default/listen{query}", headers=headers)
            assert answer.status_code in (400, 422), query


async def test_listeners_are_bounded_and_counted_down(serve, listening, monkeypatch):
    """One too many is told to come back; one that left makes room."""
    monkeypatch.setattr(listen, "MOST", 1)
    async with serve() as served:
        async with listening(served) as first:
            await first.event("tick")
            answer = await served.api.get("/api/v1/app/default/listen")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert served.app.state.listeners == set()
        async with listening(served) as again:
            assert await again.status() == 200


async def test_a_stream_ends_by_itself(serve, listening, monkeypatch):
    """After its time, or when the server stops; the client comes back."""
    async with serve() as served:
        async with listening(served) as stream:
            await stream.event("tick")
            served.app.state.lookout.stopping = True
            assert await stream.event() is None
        served.app.state.lookout.stopping = False
        monkeypatch.setattr(listen, "LIFE", 0.0)
        async with listening(served) as stream:
            assert await stream.event() is None


async def test_silence_is_broken(serve, listening, monkeypatch):
    """So that a dead connection is noticed."""
    monkeypatch.setattr(listen, "TICK", 0.0)
    async with serve() as served, listening(served) as stream:
        ticks = [(await stream.event("tick"))[0] for _ in range(3)]
        assert ticks == sorted(ticks)
