"""`hookline listen` as developers run it: real processes, a server that goes and comes."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from tests.integration.test_cli_serve import Serving
from tests.integration.test_cli_worker import PATIENCE

from hookline import Webhooks
from hookline.testing import Receiver

SECRET = "your-secret-key"


class Listening:
    """A running `hookline listen`, and what it prints."""

    def __init__(self, *arguments, cwd, **environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HOOKLINE_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hookline", "listen", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={**clean, "PYTHONWARNINGS": "error", **environment},
        )
        self.out, self.err = [], []
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._read, args=pair)
            for pair in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, pipe, lines):
        with pipe:
            for line in pipe:
                with self._changed:
                    lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, text, n=1):
        """Wait until it has said so on standard error, and return the last such line."""

        def found():
            return [line for line in self.err if text in line]

        with self._changed:
            self._changed.wait_for(
                lambda: len(found()) >= n or self.process.poll() is not None, PATIENCE
            )
        assert len(found()) >= n, f"waited for {text!r} in {self.err}"
        return found()[-1]

    def wait_for_lines(self, n):
        """Wait until it has printed so many lines, and return them."""
        with self._changed:
            self._changed.wait_for(
                lambda: len(self.out) >= n or self.process.poll() is not None, PATIENCE
            )
        assert len(self.out) >= n, f"waited for {n} lines in {self.out}, {self.err}"
        return list(self.out)

    def stop(self, number=signal.SIGINT):
        """Stop it as a developer does, and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)
        return code


@pytest.fixture
def listen(tmp_path):
    """Return a starter of `hookline listen`; all are ended with the test."""
    started = []

    def listen(*arguments, **environment):
        started.append(Listening(*arguments, cwd=tmp_path, **environment))
        return started[-1]

    yield listen
    for command in started:
        command.stop(signal.SIGKILL)


@pytest.fixture
def database(tmp_path, migrated_file):
    """The URL of a database in the test's folder."""
    return f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'hookline.db')}"


@pytest.fixture
def program():
    """A developer's program."""
    with Receiver(secret=SECRET, path="/hook") as program:
        yield program


def publish(database, *events):
    """Publish events from another process's point of view; return their ids."""
    with closing(Webhooks(database=database, deliver=False)) as webhooks:
        receipts = asyncio.run(webhooks.trigger_many([(event, {"n": 1}) for event in events]))
        return [receipt.message_id for receipt in receipts]


def new_key(database, *scopes):
    """Return the token of a new key."""
    with closing(Webhooks(database=database, deliver=False)) as webhooks:
        return asyncio.run(webhooks.create_api_key("listener", scopes)).token


@pytest.fixture
def start(database, tmp_path):
    """Return a starter of the server, at the same place each time."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    started = []

    def start():
        started.append(Serving("serve", "--port", port, "--database", database, cwd=tmp_path))
        started[-1].wait_until_ready()
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.ended()


def test_webhooks_are_forwarded_from_a_server(listen, start, database, program):
    """Signed with the developer's secret, with a key that only reads; endpoints notice nothing."""
    server = start()
    key = new_key(database, "application:default", "read")
    listener = listen(
        "--server",
        server.base,
        "--forward",
        program.url,
        "--events",
        "customer.*",
        HOOKLINE_API_KEY=key,
        HOOKLINE_LISTEN_SECRET=SECRET,
    )
    listener.wait_for("signed with your secret")
    ready = publish(database, "customer.ready")  # seen or not: the listener may still be starting
    created, _, deleted = publish(database, "customer.created", "order.paid", "customer.deleted")
    program.wait_until(lambda: any(r.id == deleted for r in program._received), PATIENCE)
    got = [each for each in program.received if each.id not in ready]
    assert [(each.id, each.event) for each in got] == [
        (created, "customer.created"),
        (deleted, "customer.deleted"),
    ]
    assert all(each.verified for each in got), [each.problem for each in got]
    assert got[0].attempt == 1
    assert got[0].headers["user-agent"].startswith("hookline/")
    lines = listener.wait_for_lines(len(program.received))
    assert any(created in line and "customer.created  200 OK" in line for line in lines)
    assert listener.stop() == 0
    assert listener.err[-1].endswith(f"{len(program.received)} webhooks")
    with closing(Webhooks(database=database, deliver=False)) as webhooks:
        assert asyncio.run(webhooks.attempts(created)) == []
    server.stop()


def test_nothing_is_missed_while_the_server_is_away(listen, start, database, program):
    """What was published meanwhile comes when it is back, and nothing twice."""
    server = start()
    key = new_key(database, "admin")
    listener = listen(
        "--server",
        server.base,
        "--since",
        "1m",
        "--forward",
        program.url,
        HOOKLINE_API_KEY=key,
        HOOKLINE_LISTEN_SECRET=SECRET,
    )
    first = publish(database, "a.first")
    program.wait_for(1, PATIENCE)
    server.stop()
    listener.wait_for("trying again")
    away = publish(database, "a.away", "a.away")
    start()
    program.wait_for(3, PATIENCE)
    listener.wait_for("listening again")
    last = publish(database, "a.last")
    program.wait_for(4, PATIENCE)
    assert listener.stop(signal.SIGTERM) == 0
    assert sorted(each.id for each in program.received) == sorted(first + away + last)


def test_on_a_database_without_a_server(listen, database, program):
    """One JSON line per webhook, what was answered with it; nothing is tried again."""
    program.answer(500, body="broken", times=1)
    [message] = publish(database, "a.b")
    listener = listen("--since=1m", "--forward", program.url, "--json", HOOKLINE_DATABASE=database)
    [line] = listener.wait_for_lines(1)
    document = json.loads(line)
    assert (document["id"], document["event_type"]) == (message, "a.b")
    assert document["payload"]["data"] == {"n": 1}
    assert (document["answer"]["status"], document["answer"]["body"]) == (500, "broken")
    fresh = listener.wait_for("signed with whsec_").split()[-1]
    [second] = publish(database, "a.c")
    assert json.loads(listener.wait_for_lines(2)[1])["id"] == second
    assert listener.stop() == 0
    assert listener.err[-1] == "2 webhooks, 1 of them not taken"
    assert program.count == 2
    assert fresh.startswith("whsec_")


def test_without_a_program_webhooks_are_shown(listen, database):
    """With what they say, where asked."""
    [message] = publish(database, "a.b")
    listener = listen("--since=1m", "--bodies", HOOKLINE_DATABASE=database)
    line, body = listener.wait_for_lines(2)
    assert message in line
    assert '"event":"a.b"' in body
    assert listener.stop() == 0


def test_a_program_that_is_not_there_is_told(listen, database):
    """And the listener goes on."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
        publish(database, "a.b")
        listener = listen("--since=1m", "--forward", url, HOOKLINE_DATABASE=database)
        [line] = listener.wait_for_lines(1)
        assert "Connection refused" in line
        assert listener.stop() == 0


def test_ctrl_c_does_not_wait_for_a_program(listen, database):
    """Which may stand still in a debugger."""
    with socket.socket() as still:
        still.bind(("127.0.0.1", 0))
        still.listen()
        still.settimeout(PATIENCE)
        url = f"http://127.0.0.1:{still.getsockname()[1]}/"
        publish(database, "a.b")
        listener = listen(
            "--since=1m", "--forward", url, "--timeout=1h", HOOKLINE_DATABASE=database
        )
        connection, _ = still.accept()
        with connection:
            assert connection.recv(4) == b"POST"
            assert listener.stop() == 0
    assert listener.err[-1] == "1 webhook"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--forward", "localhost:3000"], 2, "http://localhost:3000/hook"),
        (["--forward", "http://x", "--signature", "nonsense"], 2, "nonsense"),
        (["--events", "not an event"], 2, "not an event"),
        (["--app", "nobody"], 1, "no application 'nobody'"),
        (["--server", "http://127.0.0.1:1", "--key", "hk_x"], 1, "cannot be reached"),
    ],
)
def test_what_cannot_be_listened_to_ends_at_once(listen, database, arguments, code, said):
    """With the reason, instead of trying for ever."""
    if "--server" not in arguments:
        arguments = [*arguments, "--database", database]
    listener = listen(*arguments)
    assert listener.process.wait(PATIENCE) == code
    listener.stop()
    assert said in " ".join(" ".join(listener.err).split()), listener.err
