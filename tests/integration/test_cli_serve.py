"""`hookline serve` as people run it: real processes, real signals, real sockets."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing

import httpx
import pytest
from svix.api import Svix, SvixOptions
from svix.exceptions import HttpError
from tests.integration.test_cli_worker import PATIENCE, Command
from tools.postgres import Server

from hookline import Webhooks

ENCRYPTION_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


class Serving(Command):
    """A running `hookline serve`."""

    @property
    def base(self):
        """Where it listens."""
        [line] = self.wait_for("API: ")
        return re.search(r"http://[^/\s]+", line)[0]

    def get(self, path, **options):
        """Ask for something."""
        with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
            return client.get(self.base + path, **options)

    def ready(self):
        """Return the status and the parts of its readiness; none while nobody answers."""
        try:
            answer = self.get("/api/v1/health/ready")
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()["parts"]


@pytest.fixture
def serve(tmp_path):
    """Return a starter of `hookline serve`; all are ended with the test."""
    started = []

    def serve(*arguments, port=0, **options):
        command = ("serve", "--port", port, *arguments)
        started.append(Serving(*command, cwd=tmp_path, **options))
        return started[-1]

    yield serve
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
        command.ended()


@pytest.fixture
def cli(tmp_path):
    """Return a runner of other commands in the same folder: what they print."""

    def cli(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "hookline", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    return cli


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Return a publisher of one event for one receiver."""
    monkeypatch.chdir(tmp_path)

    def publish(url, receiver, path="/webhook"):
        with closing(Webhooks(database=url, deliver=False)) as webhooks:
            webhooks.register(receiver.base + path, ["*"], secret="your-secret-key")
            return asyncio.run(webhooks.trigger("order.paid", {"n": 1})).message_id

    return publish


def connection(server):
    """Return a connection to a server."""
    host, port = server.base.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), PATIENCE)


# The first start ---------------------------------------------------------------------------------


def test_a_newcomer_sees_what_to_do(serve, cli):
    """Nothing there, nothing set: the addresses, and the command that makes the first key."""
    server = serve()
    server.wait_until_ready()
    [api] = server.containing("API: ")
    assert api == f"INFO: API: {server.base}/api/v1, described at {server.base}/api/docs"
    assert server.base.startswith("http://127.0.0.1:")
    [line] = server.wait_for("There is no API key yet")
    command = line.partition("Make the first one: ")[2].split()
    assert command[0] == "hookline"
    assert cli(*command[1:]).startswith("hk_")
    assert server.get("/api/v1/health").status_code == 204
    assert server.get("/docs/").headers["content-type"].startswith("text/html")
    server.stop()
    assert server.lines[-2:] == ["INFO: Stopping: requests first, then deliveries", "INFO: Stopped"]
    again = serve()
    again.wait_until_ready()
    assert not again.containing("There is no API key")
    again.stop()


def test_the_command_leads_to_the_same_database(serve, cli, tmp_path):
    """With the option that was given."""
    server = serve("--database", "sqlite:///other.db")
    server.wait_until_ready()
    [line] = server.wait_for("There is no API key yet")
    cli(*line.partition("Make the first one: ")[2].split()[1:])
    server.stop()
    assert not (tmp_path / "hookline.db").exists()
    assert "NAME" in cli("keys", "list", "--database", "sqlite:///other.db")


def test_strangers_are_not_let_in_before_there_is_a_key(serve, cli):
    """Anything but loopback needs one; one that is revoked does not count."""
    refused = serve("--host", "0.0.0.0")
    assert refused.ended() == 1
    assert "hookline keys create NAME --scope admin" in refused.said
    assert "API: " not in refused.said
    made = json.loads(cli("keys", "create", "first", "--scope", "admin", "--json"))
    server = serve("--host", "0.0.0.0")
    server.wait_until_ready()
    server.stop()
    cli("keys", "revoke", made["id"])
    assert serve("--host", "0.0.0.0").ended() == 1


@pytest.mark.parametrize(
    ("settings", "starts"),
    [
        ({"HOOKLINE_DEVELOPMENT": "0"}, False),
        ({"HOOKLINE_DEVELOPMENT": "1"}, True),
        ({"HOOKLINE_DEVELOPMENT": "0", "HOOKLINE_ENCRYPTION_KEY": ENCRYPTION_KEY}, True),
    ],
)
def test_postgresql_in_production_needs_an_encryption_key(serve, postgres_url, settings, starts):
    """Without one it does not start, and says how to make it."""
    server = serve(HOOKLINE_DATABASE=postgres_url, **settings)
    if starts:
        server.wait_until_ready()
        server.stop()
    else:
        assert server.ended() == 1
        assert "hookline keys generate" in server.said
        assert "HOOKLINE_ENCRYPTION_KEY" in server.said


def test_sqlite_in_production_needs_none(serve):
    """A file is where it is."""
    server = serve(HOOKLINE_DEVELOPMENT="0")
    server.wait_until_ready()
    server.stop()


# Wrong settings ----------------------------------------------------------------------------------


def test_a_port_that_is_taken(serve):
    """Said at once."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = serve(port=port)
        assert server.ended() == 1
    assert f"cannot listen on 127.0.0.1:{port}: " in server.said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workers", "2"], "one process delivers from an SQLite file"),
        (["--database", "mysql://x"], "mysql"),
        (["--workers", "0"], "--workers"),
    ],
)
def test_settings_that_cannot_be_used(serve, arguments, words):
    """Exit code 2, and what was expected."""
    server = serve(*arguments)
    assert server.ended() == 2
    assert words in server.said


def test_settings_come_from_the_environment_too(serve, tmp_path):
    """`HOOKLINE_LISTEN` and the webhooks file's errors."""
    wrong = Serving("serve", cwd=tmp_path, HOOKLINE_LISTEN="nowhere:port")
    assert wrong.ended() == 2
    assert "HOOKLINE_LISTEN" in wrong.said
    (tmp_path / "webhooks.json").write_text('{"webhooks": [{}]}')
    broken = serve()
    assert broken.ended() == 1
    assert "webhooks.json" in broken.said


def test_without_the_extra(tmp_path):
    """The command, and the module, say what to install."""
    block = "import sys; sys.modules['fastapi'] = None; "
    for code in ("import hookline.server", "from hookline.cli import app; app(['serve'])"):
        done = subprocess.run(
            [sys.executable, "-c", block + code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in {1, 2}
        assert "pip install 'hookline[server]'" in done.stderr


# Serving and delivering --------------------------------------------------------------------------


def test_it_delivers(serve, database_url, publish, receiver):
    """What others publish into the database."""
    server = serve("--database", database_url)
    server.wait_until_ready()
    publish(database_url, receiver)
    server.wait_for("INFO: Webhook sent successfully to ")
    server.stop()


def test_the_api_alone(serve, database_url, publish, receiver):
    """`--api-only` is ready, and leaves deliveries to others."""
    server = serve("--database", database_url, "--api-only")
    server.wait_until_ready()
    publish(database_url, receiver)
    assert server.containing("Nothing is delivered by this process")
    server.stop()
    assert not receiver.received
    other = serve("--database", database_url)
    other.wait_for("INFO: Webhook sent successfully to ")
    other.stop()


def test_several_processes(serve, postgres_url):
    """They share a port; one that dies is replaced; all of them end."""
    server = serve("--workers", 2, HOOKLINE_DATABASE=postgres_url)
    server.wait_for(" started: pid ", n=2)
    server.wait_until_ready()
    first, _ = server.pids()
    os.kill(first, signal.SIGKILL)
    server.wait_for("another one is started")
    server.wait_for(" started: pid ", n=3)
    server.wait_until_ready()
    assert server.get("/api/v1/health").status_code == 204
    server.stop()
    server.wait_for("All workers stopped")


def test_it_waits_for_a_database(serve):
    """And outlives one that goes away: readiness says so."""
    database = Server().start()
    try:
        url = database.url()
        database.kill()
        server = serve(HOOKLINE_DATABASE=url, HOOKLINE_MIGRATE="always")
        server.wait_for("Waiting for the database")
        assert not server.containing("API: ")
        database.launch()
        server.wait_until_ready()
        database.kill()
        server.wait_until_missing("database", "PostgreSQL")
        assert server.get("/api/v1/health").status_code == 204
        server.stop()
    finally:
        database.stop()


def test_the_official_client_talks_to_it(serve, cli):
    """Its health check passes, and its exceptions carry our codes."""
    server = serve()
    server.wait_until_ready()
    token = cli("keys", "create", "svix", "--scope", "admin")
    client = Svix(token, SvixOptions(server_url=server.base, retry_schedule=[]))
    with client._httpx_client:  # it closes itself no other way
        assert client.health.get() is None
        with pytest.raises(HttpError) as caught:
            client.application.get("nobody")
    assert (caught.value.status_code, caught.value.code) == (404, "not_found")
    server.stop()


# Stopping ----------------------------------------------------------------------------------------


def test_it_finishes_requests_then_deliveries(serve, database_url, publish, receiver):
    """A body that is still arriving is answered; a delivery in flight is settled."""
    release = threading.Event()
    receiver.answer(lambda _: 200 if release.wait(PATIENCE) else 500)
    server = serve("--database", database_url)
    server.wait_until_ready()
    publish(database_url, receiver)
    receiver.wait_for(1)
    with connection(server) as client:
        client.sendall(
            b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")  # it is being read
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("Stopping: requests first, then deliveries")
        client.sendall(b"123456")
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b'"code":"not_found"' in answer
    server.wait_for("Finishing 1 deliveries in flight")
    release.set()
    assert server.ended() == 0, server.said
    [sent] = server.containing("Webhook sent successfully")
    assert server.lines.index(sent) > server.lines.index(server.wait_for("Stopping")[0])


def test_a_second_interrupt_ends_it(serve):
    """Whatever is still going on: a request that never ends."""
    server = serve()
    server.wait_until_ready()
    with connection(server) as client:
        client.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123")
        server.process.send_signal(signal.SIGINT)
        server.wait_for("Stopping")
        server.process.send_signal(signal.SIGINT)
        assert server.ended() == 130


def test_as_any_asgi_application(tmp_path):
    """`uvicorn --factory hookline.server:create_app`."""
    command = [sys.executable, "-m", "uvicorn", "--factory", "hookline.server:create_app"]
    process = subprocess.Popen(
        [*command, "--port", "0"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        for line in process.stderr:
            if found := re.search(r"running on (http://\S+)", line):
                break
        with httpx.Client(trust_env=False) as client:
            assert client.get(f"{found[1]}/api/v1/health/ready").json()["ready"] is True
            assert client.get(f"{found[1]}/api/v1/nothing").json()["code"] == "not_found"
        process.terminate()
        assert process.wait(PATIENCE) in {0, -signal.SIGTERM}
    finally:
        process.kill()
        process.stderr.close()
        process.wait()
