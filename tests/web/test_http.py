"""The HTTP protocol itself, over real sockets: bounds on heads, slow clients, what is no HTTP."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
import uvicorn

from hookline._web import http
from hookline._web.http import Protocol
from hookline._web.shell import Shell


@asynccontextmanager
async def listening(app, **options):
    """Serve an application on a port of its own; give what opens a connection to it."""
    options = {"http": Protocol, "ws": "none", "lifespan": "off", "log_config": None, **options}
    config = uvicorn.Config(app, **options)
    config.load()
    state = uvicorn.server.ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    writers = []

    async def connect():
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writers.append(writer)
        return reader, writer

    try:
        yield connect
    finally:
        for writer in writers:
            writer.close()
        server.close()


async def echo(scope, receive, send):
    """Answer with the path, once the body is there."""
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
    body = scope["path"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def early(scope, receive, send):
    """Answer without reading the body."""
    await send(
        {"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})


def parts(answer):
    """Return status and document of an answer in bytes."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    assert b"connection: close" in head
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    "nonsense", [b"nonsense\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"\x16\x03\x01\r\n"]
)
async def test_what_is_no_http(nonsense):
    """400, in JSON, and the end of the connection."""
    async with listening(echo) as connect:
        reader, writer = await connect()
        writer.write(nonsense)
        status, document = parts(await reader.read())
    assert (status, document["code"]) == (400, "generic_error")


@pytest.mark.parametrize("kind", ["one long header", "many headers", "a long path"])
async def test_a_head_has_a_size(kind):
    """431: no client fills the memory with headers."""
    async with listening(echo) as connect:
        reader, writer = await connect()
        writer.write(b"GET /" if kind == "a long path" else b"GET / HTTP/1.1\r\n")
        answer = asyncio.create_task(reader.read())
        for number in range(300):
            piece = {
                "one long header": (b"a: " if number == 0 else b"") + b"x" * 1000,
                "many headers": b"h%d: %s\r\n" % (number, b"x" * 990),
                "a long path": b"x" * 1000,
            }[kind]
            writer.write(piece)
            await asyncio.sleep(0)
        status, document = parts(await answer)
    assert status == 431
    assert "65,536 bytes" in document["detail"]


async def test_a_head_has_a_time(monkeypatch):
    """408 for one that trickles; a connection that says nothing is closed."""
    monkeypatch.setattr(http, "HEAD_SECONDS", 0.05)
    async with listening(echo) as connect:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost:")
        status, document = parts(await reader.read())
        silent, _ = await connect()
        assert await silent.read() == b""
    assert (status, document["code"]) == (408, "generic_error")


async def test_a_connection_lives_on_after_its_head_was_there(monkeypatch):
    """The time of a head ends with it: a second request on the same connection, a moment later."""
    monkeypatch.setattr(http, "HEAD_SECONDS", 0.05)
    async with listening(echo) as connect:
        reader, writer = await connect()
        for path in (b"/one", b"/two"):
            for piece in (b"GET ", path, b" HTTP/1.1\r\nHost: x\r\n\r\n"):
                writer.write(piece)
                await asyncio.sleep(0)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"200 OK" in head
            assert await reader.readexactly(4) == path
            await asyncio.sleep(0.1)  # longer than a head may take


async def test_what_nobody_wants_to_read_ends(monkeypatch):
    """A body that goes on after the answer is taken for a while, then the connection is closed."""
    monkeypatch.setattr(http, "HEAD_SECONDS", 0.1)
    async with listening(early) as connect:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert b"413" in await reader.readuntil(b"\r\n\r\n")

        async def go_on():
            while not writer.is_closing():
                writer.write(b"4\r\nmore\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)

        with pytest.raises(ConnectionError):
            await go_on()


async def test_bodies_in_pieces_arrive():
    """Through the protocol and the shell, announced and chunked."""
    app = Shell(echo, limit=100_000)
    async with listening(app) as connect:
        reader, writer = await connect()
        for head, body in (
            (b"Content-Length: 90000", [b"x" * 30_000] * 3),
            (
                b"Transfer-Encoding: chunked",
                [b"7530\r\n" + b"x" * 30_000 + b"\r\n"] * 3 + [b"0\r\n\r\n"],
            ),
        ):
            writer.write(b"POST /a/ HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
            for piece in body:
                writer.write(piece)
                await writer.drain()
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"/a"


async def test_an_answer_that_nobody_reads_is_given_up(monkeypatch):
    """The rest of it does not stay in memory as long as the client likes."""
    monkeypatch.setattr(http, "UNREAD_SECONDS", 0.05)
    size, lost, end = 50_000_000, asyncio.Event(), Protocol.connection_lost

    def connection_lost(self, exc):
        lost.set()
        end(self, exc)

    async def large(scope, receive, send):
        headers = [(b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * size})

    monkeypatch.setattr(Protocol, "connection_lost", connection_lost)
    async with listening(large, timeout_keep_alive=0) as connect:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await lost.wait()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(size)
