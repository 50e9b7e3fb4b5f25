"""`hookline worker` as people run it: real processes, real signals, a real database that dies."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import asyncpg
import httpx
import pytest
from tools.postgres import Server

from hookline import Webhooks
from hookline._engine.open_files import KEPT
from hookline._sending.sender import MAX_KEPT_CONNECTIONS
from hookline.testing import Receiver

PATIENCE = 25.0
"""Seconds within which everything waited for must happen."""


def message_of(line):
    """Return the message that a line of the log in JSON is about."""
    return json.loads(line)["message_id"]


class Command:
    """A running `hookline …`, and what it says on standard error."""

    def __init__(self, *arguments, cwd, prefix=(), **environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HOOKLINE_")}
        clean["HOOKLINE_DEVELOPMENT"] = "1"
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "hookline", *map(str, arguments)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={**clean, "PYTHONWARNINGS": "error", **environment},
        )
        self.lines = []
        self._silent = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        self.process.stderr.close()
        with self._changed:
            self._silent = True
            self._changed.notify_all()

    @property
    def said(self):
        return "\n".join(self.lines)

    def containing(self, text):
        return [line for line in self.lines if text in line]

    def wait_for(self, text, n=1):
        """Wait until it has said so `n` times; return those lines."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._silent or len(self.containing(text)) >= n, PATIENCE
            )
        found = self.containing(text)
        assert len(found) >= n, f"waited for {n} × {text!r} in:\n{self.said}"
        return found

    def wait_for_messages(self, text, n):
        """Wait until its lines with the text are about `n` messages."""
        found = set()

        def enough():
            found.update(message_of(line) for line in self.containing(text))
            return self._silent or len(found) >= n

        with self._changed:
            self._changed.wait_for(enough, PATIENCE)
        assert len(found) >= n, f"waited for {n} messages with {text!r} in:\n{self.said}"

    def ended(self):
        """Wait for its end and return the exit code."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def stop(self, number=signal.SIGTERM):
        """Stop it as an init system does."""
        self.process.send_signal(number)
        assert self.ended() == 0, self.said

    def pids(self):
        """Return the pids of the workers it says it started, the latest of each."""
        lines = (line.split() for line in self.containing(" started: pid "))
        return list({words[2]: int(words[-1]) for words in lines}.values())

    @property
    def base(self):
        """Where `--health` listens."""
        [line] = self.wait_for("Health: ")
        return re.search(r"http://\S+(?=/ready)", line)[0]

    def ready(self):
        """Return the status and the parts of `GET /ready`."""
        with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
            answer = client.get(f"{self.base}/ready")
        document = answer.json()
        assert document["ready"] == (answer.status_code == 200)
        return answer.status_code, document["parts"]

    def wait_until_ready(self):
        """Wait until `/ready` says yes."""
        self.wait_until(lambda status, parts: status == 200)

    def wait_until_missing(self, part, words):
        """Wait until `/ready` says no, because of this part."""
        self.wait_until(lambda status, parts: status == 503 and words in parts[part])

    def wait_until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition(*(answer := self.ready())):
            assert time.monotonic() < deadline, f"{answer}, said:\n{self.said}"
            time.sleep(0.1)  # no signal crosses this border


@pytest.fixture
def run(tmp_path):
    """Return a starter of `hookline` commands; all of them are ended with the test."""
    started = []

    def run(*arguments, **options):
        started.append(Command(*arguments, cwd=tmp_path, **options))
        return started[-1]

    yield run
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
        command.ended()


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Return a publisher: `publish(url, receiver, numbers)`, for others to deliver."""
    monkeypatch.chdir(tmp_path)

    def publish(url, receiver, numbers=range(1), path="/webhook"):
        async def trigger():
            return await webhooks.trigger_many([("order.paid", {"n": n}) for n in numbers])

        with closing(Webhooks(database=url, deliver=False)) as webhooks:
            webhooks.register(receiver.base + path, ["*"], secret="your-secret-key")
            return [receipt.message_id for receipt in asyncio.run(trigger())]

    return publish


@pytest.fixture
def server():
    """A PostgreSQL server that the test may kill."""
    server = Server().start()
    yield server
    server.stop()


def numbers(receiver):
    return Counter(each.json()["data"]["n"] for each in receiver.received)


# One process -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_delivers_until_it_is_told_to_stop(run, database_url, publish, receiver, number):
    """What an application publishes is delivered, in the guide's words; a signal ends it."""
    worker = run("worker", "--database", database_url, "--health", 0)
    worker.wait_until_ready()
    publish(database_url, receiver, range(3))
    worker.wait_for("INFO: Webhook sent successfully to ", n=3)
    assert numbers(receiver) == {0: 1, 1: 1, 2: 1}
    worker.stop(number)
    assert worker.containing("INFO: Triggering 1 webhooks for event order.paid")
    assert worker.lines[-2:] == ["INFO: Stopping: no more work is taken", "INFO: Stopped"]


def test_it_delivers_whatever_the_application_says_of_itself(run, database_url, publish, receiver):
    """An application that shares its settings, deliver=false among them, does not stop a worker."""
    publish(database_url, receiver)
    worker = run("worker", HOOKLINE_DATABASE=database_url, HOOKLINE_DELIVER="false")
    worker.wait_for("Webhook sent successfully")
    worker.stop()


def test_what_is_in_flight_is_finished(run, database_url, publish, receiver):
    """A request that is under way when SIGTERM comes is finished and settled."""
    arrived, go = threading.Event(), threading.Event()

    def answer(_):
        arrived.set()
        go.wait(PATIENCE)
        return 200

    receiver.answer(answer)
    [message] = publish(database_url, receiver)
    worker = run("worker", "--database", database_url)
    assert arrived.wait(PATIENCE)
    worker.process.send_signal(signal.SIGTERM)
    worker.wait_for("Stopping: no more work is taken")
    go.set()
    assert worker.ended() == 0
    with closing(Webhooks(database=database_url, deliver=False)) as webhooks:
        [attempt] = asyncio.run(webhooks.attempts(message))
    assert (attempt.state, attempt.status) == ("succeeded", 200)


def test_a_second_ctrl_c_ends_it_at_once(run, database_url, publish, receiver):
    """Whoever cannot wait for a slow receiver presses Ctrl-C twice; a second SIGTERM waits on."""
    arrived, go = threading.Event(), threading.Event()

    def answer(_):
        arrived.set()
        go.wait(PATIENCE)
        return 200

    receiver.answer(answer)
    publish(database_url, receiver)
    worker = run("worker", "--database", database_url)
    assert arrived.wait(PATIENCE)
    for number in (signal.SIGTERM, signal.SIGTERM):
        worker.process.send_signal(number)
    worker.wait_for("Stopping: no more work is taken")
    worker.process.send_signal(signal.SIGINT)
    assert worker.ended() == 130
    go.set()


def test_json_lines(run, database_url, publish, receiver):
    """With --log-json every line is an object, with the fields of the event beside the words."""
    [message] = publish(database_url, receiver)
    worker = run("worker", "--database", database_url, "--log-json")
    worker.wait_for("Webhook sent successfully")
    worker.stop()
    lines = [json.loads(line) for line in worker.lines]
    assert {line["pid"] for line in lines} == {worker.process.pid}
    [sent] = [line for line in lines if line["message"].startswith("Webhook sent")]
    assert sent["level"] == "INFO"
    assert (sent["message_id"], sent["event_type"]) == (message, "order.paid")
    assert (sent["attempt"], sent["status"], sent["state"]) == (1, 200, "succeeded")
    assert sent["time"].endswith("+00:00")


# Endpoints from a file ---------------------------------------------------------------------------


def test_endpoints_from_a_file(run, database_url, publish, receiver, tmp_path):
    """The file given is loaded; what is published goes to its endpoints too."""
    entry = {"url": f"{receiver.base}/from-file", "events": ["order.*"]}
    file = tmp_path / "elsewhere.json"
    file.write_text(json.dumps({"webhooks": [entry]}), "utf-8")
    worker = run("worker", "--database", database_url, "--webhooks-file", file)
    worker.wait_for("1 webhooks loaded from")
    publish(database_url, receiver)
    worker.wait_for("Webhook sent successfully", n=2)
    assert {each.path for each in receiver.received} == {"/from-file", "/webhook"}
    worker.stop()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "line 1, column 2"),
        ('{"webhooks": [{"url": "ftp://a.example", "events": ["*"]}]}', "webhooks[0].url: scheme"),
    ],
)
@pytest.mark.parametrize("processes", [1, 2])
def test_a_wrong_file_is_said_and_ends_it(run, postgres_url, tmp_path, text, words, processes):
    """A file that cannot be used ends the worker with the reason: no restarts, no waiting."""
    (tmp_path / "webhooks.json").write_text(text, "utf-8")
    worker = run("worker", "--database", postgres_url, "--processes", processes)
    assert worker.ended() == 1
    assert words in worker.said
    assert "another one is started" not in worker.said


def test_a_file_that_is_named_must_exist(run, tmp_path):
    """A missing webhooks.json is fine, one that was asked for is not."""
    worker = run("worker", "--webhooks-file", tmp_path / "nothing.json")
    assert worker.ended() == 2
    assert "does not exist" in worker.said


# Health ------------------------------------------------------------------------------------------


def test_health_and_readiness(run, database_url):
    """`/health` is 204 while the process lives, `/ready` 200 once it delivers; nothing else."""
    worker = run("worker", "--database", database_url, "--health", 0)
    worker.wait_until_ready()
    parts = dict.fromkeys(("database", "schema", "share", "heartbeats"), "ok")
    assert worker.ready() == (200, parts)
    assert worker.base.startswith("http://127.0.0.1:")
    with httpx.Client(trust_env=False, base_url=worker.base) as client:
        alive = client.get("/health")
        assert (alive.status_code, alive.content) == (204, b"")
        assert client.head("/ready").status_code == 200
        assert client.get("/").status_code == 404
        assert client.post("/ready").status_code == 501
    worker.stop()


def test_a_port_that_is_taken(run, database_file):
    """The reason is given, and nothing is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        worker = run("worker", "--database", f"sqlite:///{database_file}", "--health", port)
        assert worker.ended() == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in worker.said


@pytest.mark.parametrize("text", ["", "x", "99999", ":8081", "127.0.0.1:"])
def test_where_to_listen_is_checked(run, text):
    """A place to listen is a port, or a host and a port."""
    worker = run("worker", "--health", text)
    assert worker.ended() == 2
    assert "write 8081 or 0.0.0.0:8081" in " ".join(worker.said.replace("│", " ").split())


def test_a_second_worker_of_a_file_stands_by(run, database_file, publish, receiver):
    """On SQLite one delivers; the other one says that it waits, and takes over when it ends."""
    url = f"sqlite:///{database_file}"
    first = run("worker", "--database", url, "--health", 0)
    first.wait_until_ready()
    second = run("worker", "--database", url, "--health", 0)
    second.wait_for("Standing by: another process delivers from this file")
    second.wait_until_missing("share", "another process delivers")
    first.stop()
    second.wait_until_ready()
    publish(url, receiver)
    second.wait_for("Webhook sent successfully")
    second.stop()


def test_several_processes_on_a_file_are_refused(run, database_file):
    """More than one process on SQLite would only wait for each other: said, exit 2."""
    worker = run("worker", "--database", f"sqlite:///{database_file}", "--processes", 2)
    assert worker.ended() == 2
    assert "--processes 2: one process delivers from an SQLite file" in worker.said


# Several processes -------------------------------------------------------------------------------


def test_several_processes_share_the_work(run, postgres_url, publish, receiver):
    """Each message is delivered once, by whichever process; SIGTERM ends them all, exit 0."""
    worker = run(
        "worker", "--database", postgres_url, "--processes", 3, "--health", 0, "--log-json"
    )
    worker.wait_until_ready()
    for first in range(0, 300, 100):
        publish(postgres_url, receiver, range(first, first + 100))
    worker.wait_for("Webhook sent successfully", n=300)
    worker.stop()
    assert numbers(receiver) == dict.fromkeys(range(300), 1)
    lines = [json.loads(line) for line in worker.lines]
    started = {line["message"].split()[-1] for line in lines if "started: pid" in line["message"]}
    sent_by = {str(line["pid"]) for line in lines if line["message"].startswith("Webhook sent")}
    assert len(started) == 3
    assert sent_by <= started
    assert lines[-1]["message"] == "All workers stopped"


def test_one_that_dies_is_started_again(run, postgres_url, publish, receiver):
    """A killed process is replaced, which is said; meanwhile `/ready` names what is missing."""
    worker = run("worker", "--database", postgres_url, "--processes", 2, "--health", 0)
    worker.wait_until_ready()
    first, second = worker.pids()
    os.kill(first, signal.SIGKILL)
    worker.wait_for(f"(pid {first}) was ended by SIGKILL; another one is started in 0.5 s")
    worker.wait_for("Worker 1 of 2 started", n=2)
    third, _ = worker.pids()
    os.kill(third, signal.SIGKILL)
    worker.wait_for(f"(pid {third}) was ended by SIGKILL; another one is started in 1 s")
    # Longer away than the answer of the last look is good for.
    worker.wait_until(lambda status, parts: status == 503 and parts["share"] != "ok")
    worker.wait_until_ready()
    assert not {first, third} & set(worker.pids())
    assert second in worker.pids()
    publish(postgres_url, receiver, range(20))
    worker.wait_for("Webhook sent successfully", n=20)
    worker.stop()
    assert numbers(receiver) == dict.fromkeys(range(20), 1)


def test_one_that_falls_silent_is_named(run, postgres_url):
    """A process that hangs is not ready once its heartbeats stay out, and is when it goes on."""
    worker = run("worker", "--database", postgres_url, "--processes", 2, "--health", 0)
    worker.wait_until_ready()
    silent, _ = worker.pids()
    os.kill(silent, signal.SIGSTOP)
    try:
        worker.wait_until_missing("heartbeats", f"pid {silent} was silent for ")
    finally:
        os.kill(silent, signal.SIGCONT)
    worker.wait_until_ready()
    worker.stop()


def test_a_process_that_was_asked_to_end_is_replaced(run, postgres_url):
    """Processes can be renewed one by one: SIGTERM to one, and another takes its place."""
    worker = run("worker", "--database", postgres_url, "--processes", 2, "--health", 0)
    worker.wait_until_ready()
    first, _ = worker.pids()
    os.kill(first, signal.SIGTERM)
    worker.wait_for(f"(pid {first}) ended with exit code 0; another one is started")
    worker.wait_for("started: pid", n=3)
    worker.stop()


def test_no_process_outlives_its_parent(run, postgres_url):
    """When the parent is killed, its workers stop as gracefully as on SIGTERM."""
    worker = run("worker", "--database", postgres_url, "--processes", 2, "--health", 0)
    worker.wait_until_ready()
    worker.process.kill()
    assert worker.ended() == -signal.SIGKILL  # and its pipe is closed: nobody writes any more
    assert len(worker.containing("INFO: Stopped")) == 2


def test_a_second_ctrl_c_ends_all_at_once(run, postgres_url, publish, receiver):
    """The children are killed, not left behind."""
    arrived, go = threading.Event(), threading.Event()

    def answer(_):
        arrived.set()
        go.wait(PATIENCE)
        return 200

    receiver.answer(answer)
    publish(postgres_url, receiver)
    worker = run("worker", "--database", postgres_url, "--processes", 2)
    assert arrived.wait(PATIENCE)
    worker.process.send_signal(signal.SIGINT)
    worker.wait_for("Stopping 2 workers")
    worker.process.send_signal(signal.SIGINT)
    assert worker.ended() == 130
    go.set()


def test_the_password_is_not_on_any_command_line(run, postgres_url):
    """The children get the URL where other accounts cannot read it, and no log has it."""
    url = postgres_url.replace("//postgres@", "//postgres:geheim@")
    worker = run("worker", "--processes", 2, "--health", 0, HOOKLINE_DATABASE=url)
    worker.wait_until_ready()
    for pid in worker.pids():
        assert "geheim" not in Path(f"/proc/{pid}/cmdline").read_text("utf-8")
    worker.stop()
    assert "postgres:***@" in worker.said
    assert "geheim" not in worker.said


# The database comes and goes ---------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 2])
def test_a_database_that_dies_and_returns(run, server, publish, receiver, processes):
    """Killed and started again, the workers go on; what was settled is not sent again."""
    migrated = run("migrate", "--database", server.url())
    assert migrated.ended() == 0
    worker = run(
        *("worker", "--database", server.url(), "--processes", processes, "--health", 0),
        HOOKLINE_SETTLE_DURABLE="true",
    )
    worker.wait_until_ready()
    publish(server.url(), receiver, range(50))
    worker.wait_for("Webhook sent successfully", n=50)

    server.kill()
    worker.wait_until_missing("database", "PostgreSQL database postgres at ")
    assert worker.ready()[1]["share"] == "unknown while the database is out of reach"
    server.launch()
    worker.wait_until_ready()

    publish(server.url(), receiver, range(50, 100))
    worker.wait_for("Webhook sent successfully", n=100)
    worker.stop()
    assert numbers(receiver) == dict.fromkeys(range(100), 1)
    assert "another one is started" not in worker.said


async def succeeded(url):
    """Return how many messages the log says arrived, and how many deliveries are left."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    done = "SELECT count(DISTINCT message_id) FROM hookline_attempt WHERE state = 'succeeded'"
    left = "SELECT count(*) FROM hookline_delivery"
    counts = await connection.fetchval(done), await connection.fetchval(left)
    await connection.close()
    return counts


def test_a_database_that_dies_in_the_middle(run, server, publish):
    """Killed while much is in flight: all arrives, and nothing whose settling was logged again."""
    assert run("migrate", "--database", server.url()).ended() == 0
    worker = run(
        *("worker", "--database", server.url(), "--health", 0, "--log-json"),
        HOOKLINE_SETTLE_DURABLE="true",
        HOOKLINE_LEASE="2",
        HOOKLINE_POLL_INTERVAL="0.2",
    )
    worker.wait_until_ready()
    started = threading.Event()

    def answer(received):
        if received.number >= 300:
            started.set()
        return 200

    with Receiver(secret="your-secret-key") as receiver:
        receiver.answer(answer)
        messages = publish(server.url(), receiver, range(1000))
        assert started.wait(PATIENCE)
        worker.wait_for("Webhook sent successfully")  # else none may be settled yet
        server.kill()
        settled = {message_of(line) for line in worker.containing("Webhook sent successf")}
        worker.wait_until_missing("database", "PostgreSQL")
        server.launch()
        worker.wait_until_ready()
        # What was settled in a commit whose answer never came is logged as a lease that was lost.
        worker.wait_for_messages(receiver.url, 1000)
        worker.stop()
        assert asyncio.run(succeeded(server.url())) == (1000, 0)
        arrived = Counter(each.id for each in receiver.received)
    assert 0 < len(settled) < 1000
    assert set(arrived) == set(messages)
    assert {arrived[message] for message in settled} == {1}


@pytest.mark.parametrize("processes", [1, 2])
def test_it_waits_for_database_and_schema(run, server, publish, receiver, processes):
    """Started before the database is there or migrated, it says what it waits for."""
    server.kill()
    worker = run("worker", "--database", server.url(), "--processes", processes, "--health", 0)
    worker.wait_for("WARNING: Waiting for the database: PostgreSQL database postgres at ")
    worker.wait_until_missing("database", "PostgreSQL database postgres at ")
    server.launch()
    worker.wait_for("no Hookline tables yet, version 0001 is needed; run: hookline migrate")
    worker.wait_until_missing("schema", "run: hookline migrate")
    assert run("migrate", "--database", server.url()).ended() == 0
    worker.wait_until_ready()
    publish(server.url(), receiver)
    worker.wait_for("Webhook sent successfully")
    worker.stop()


def test_it_stops_while_it_waits(run, server):
    """SIGTERM ends a worker that never got to its database."""
    server.kill()
    worker = run("worker", "--database", server.url())
    worker.wait_for("Waiting for the database")
    worker.stop()


def test_it_stops_while_the_database_is_away(run, server):
    """SIGTERM ends a worker whose database has gone, in good time."""
    assert run("migrate", "--database", server.url()).ended() == 0
    worker = run("worker", "--database", server.url(), "--health", 0)
    worker.wait_until_ready()
    server.kill()
    worker.wait_until_missing("database", "PostgreSQL")
    worker.stop()


# Open files --------------------------------------------------------------------------------------


def limited(soft, hard):
    return ("sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "sh")


def test_the_limit_of_open_files_is_raised(run, database_file):
    """A soft limit that is too low for max_in_flight is raised, which is said."""
    url = f"sqlite:///{database_file}"
    worker = run("worker", "--database", url, prefix=limited(256, 4096))
    worker.wait_for("Delivering from")
    assert worker.lines[0] == "INFO: Raised the limit of open files from 256 to 1664"
    worker.stop()


def test_a_hard_limit_that_is_too_low(run, database_file):
    """What cannot be raised is a warning that says what to change."""
    url = f"sqlite:///{database_file}"
    worker = run("worker", "--database", url, prefix=limited(256, 300))
    worker.wait_for("WARNING: At most 300 open files are allowed, max_in_flight=512 needs 640")
    worker.wait_for("Delivering from")
    worker.stop()


def test_kept_connections_are_counted():
    """What the sender keeps open is what the limit is raised for."""
    assert KEPT == MAX_KEPT_CONNECTIONS
