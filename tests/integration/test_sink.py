"""`hookline sink`: what it prints, what its page serves, and how it starts and ends."""

import io
import json
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner

import hookline
from hookline._domain.signature import Signer
from hookline.cli import app
from hookline.cli._sink import server, show, text
from hookline.cli._sink.server import Sink
from hookline.cli._values import duration, is_loopback

SECRET = "your-secret-key"
BODY = '{"event":"customer.created","data":{"name":"张三","tags":[]}}'.encode()


def signed(body=BODY, **extra):
    now = int(time.time())
    signer = Signer([SECRET])
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": signer.standard("msg_1", now, body),
        "X-Webhook-Signature": signer.guide(body),
        "X-Webhook-Event": "customer.created",
        "X-Webhook-Attempt": "1",
        **extra,
    }


@pytest.fixture
def client():
    with httpx.Client(trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def sink():
    with Sink([SECRET], summary="200") as sink:
        yield sink


# What it prints ----------------------------------------------------------------------------------


def printed(client, body, headers, *, bodies=True, terminal=False, **answer):
    """Return what one webhook looks like on the terminal."""
    out = io.StringIO()
    console = Console(
        file=out, highlight=False, markup=False, emoji=False, force_terminal=terminal, width=80
    )
    with Sink([SECRET], show=show.readable(console, bodies=bodies)) as sink:
        sink.answer(**answer)
        try:
            client.post(sink.url, content=body, headers=headers)
        except httpx.TransportError:
            assert answer == {"drop": True}
    return out.getvalue()


def test_a_verified_webhook_is_printed_readably(client):
    """Time, event, verdict and answer; id and attempt; the body indented, Chinese as itself."""
    lines = printed(client, BODY, signed()).splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d  customer\.created  ✓ verified  → 200", lines[0])
    assert lines[1].strip() == "msg_1  attempt 1  POST /webhook  63 bytes"
    assert json.loads("\n".join(lines[2:])) == json.loads(BODY)
    assert '    "name": "张三",' in "\n".join(lines)
    assert '"tags": []' in "\n".join(lines)


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (BODY, {}, "no webhook-signature and no X-Webhook-Signature"),
        (BODY, signed(b"{}"), "check that the secret is this endpoint's"),
        (json.dumps(json.loads(BODY)).encode(), signed(), "parsed and written anew"),
        (BODY, signed() | {"webhook-timestamp": "1"}, "changed on the way"),
    ],
)
def test_an_unverified_webhook_says_why(client, body, headers, words):
    """The reason is given in words, below the verdict."""
    first, second, *_ = printed(client, body, headers).splitlines()
    assert "✗ not verified" in first
    assert words in second
    assert SECRET not in second


def test_other_answers_are_shown(client):
    """The status answered, or that the connection was dropped."""
    assert "→ 503" in printed(client, BODY, signed(), status=503)
    assert "→ connection dropped" in printed(client, BODY, signed(), drop=True)


def test_quiet_prints_one_line(client):
    """Without bodies each webhook is one line, two when something is wrong."""
    assert len(printed(client, BODY, signed(), bodies=False).splitlines()) == 1
    assert len(printed(client, BODY, {}, bodies=False).splitlines()) == 2


HOSTILE = {
    "escape sequences": "\x1b[2J\x1b]0;title\x07\x9b31m",
    "direction overrides": "\u202egnp.exe\u2066\u200f",
    "line tricks": "a\rb\x08c\x0b\x0c\u2028\u2029\x85",
    "markup": "[red]red[/red] :smile: [link=http://x]y[/link]",
    "html": "<script>alert(1)</script>",
    "nul": "\x00\x7f",
    "invisible": "\ufeff\u200b\ue000",
}


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("as_json", [True, False])
def test_hostile_bodies_are_shown_harmlessly(client, hostile, terminal, as_json):
    """Control and direction characters never reach the terminal; markup is text."""
    body = json.dumps({"event": hostile}, ensure_ascii=False) if as_json else hostile
    out = printed(client, body.encode(), {}, terminal=terminal)
    ours = re.sub(r"\x1b\[[0-9;]*m", "", out) if terminal else out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ue000]", ours)
    for plain in ("[red]red[/red]", ":smile:", "<script>"):
        assert (plain in hostile) == (plain in ours)


@pytest.mark.parametrize("name", ["X-Webhook-Event", "webhook-id"])
def test_hostile_headers_are_shown_harmlessly(client, name):
    """What a header carries is text, whatever it looks like."""
    out = printed(client, BODY, {name.encode(): "[red]\x1b[2J\u202e张".encode()})
    assert "\x1b" not in out
    assert r"[red]\x1b[2J\u202e张" in out


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (b"", "(empty body)"),
        (b"plain", "(not JSON)"),
        (b"\xff\xfe", "(not JSON, not UTF-8)"),
        (b'"%s"' % (b"x" * 1_000_000), "(cut here; 1,000,002 bytes in all)"),
        (b"[%s1]" % (b"1," * 300_000), "(cut here; 600,003 bytes in all)"),
        (b"[" * 500_000, "(cut here; 500,000 bytes in all, not JSON)"),
    ],
)
def test_odd_bodies_are_noted(client, body, note):
    """Empty, huge, binary and malformed bodies are printed in reasonable length with a note."""
    out = printed(client, body, {})
    assert note in out
    assert len(out) < 60_000


def test_numbers_are_shown_as_they_came():
    """Indenting changes white space only, no digit."""
    raw = '{"a":1.0,"b":1e3,"c":12345678901234567890,"d":"\\u5f20\\/","e":[{}],"f":[[1],[]]}'
    pretty = text.indented(raw, 1000)
    assert re.sub(r"\s", "", pretty) == raw
    assert '"e": [\n    {}\n  ],' in pretty
    assert text.indented("{", 10) is None


# What it serves ----------------------------------------------------------------------------------


def test_the_page_is_self_contained(client, sink):
    """The page and what it needs come from the sink, under a policy that allows nothing else."""
    page = client.get(sink.base)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    wanted = re.findall(r'(?:src|href)="(/[^"]*)"', page.text)
    assert {"/sink.js", "/sink.css", "/sink.svg"} <= set(wanted)
    for path in wanted:
        assert client.get(sink.base + path).is_success
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert not re.search(r"innerHTML|insertAdjacent|document\.write", client.get(
        f"{sink.base}/sink.js"
    ).text)  # fmt: skip


def test_received_lists_what_came(client, sink):
    """GET /received gives everything that arrived, oldest first, as JSON."""
    client.post(sink.url, content=BODY, headers=signed())
    client.put(f"{sink.base}/other", content=b"\xff", headers={"X-Note": "张三".encode()})
    first, second = client.get(f"{sink.base}/received").json()
    assert (first["event"], first["id"], first["attempt"]) == ("customer.created", "msg_1", 1)
    assert (first["verified"], first["problem"], first["answered"]) == (True, None, 200)
    assert (first["method"], first["path"], first["body"]) == ("POST", "/webhook", BODY.decode())
    assert ["webhook-id", "msg_1"] in first["headers"]
    assert (second["path"], second["verified"], second["body"]) == ("/other", False, "\ufffd")
    assert ["X-Note", "张三"] in second["headers"]


def test_delete_empties_the_list(client, sink):
    """DELETE /received forgets what arrived."""
    client.post(sink.url, content=BODY)
    assert client.delete(f"{sink.base}/received").status_code == 204
    assert client.get(f"{sink.base}/received").json() == []
    assert sink.total == 1


class Stream:
    """Reads the event stream frame by frame."""

    def __init__(self, response):
        self.lines = response.iter_lines()

    def frame(self):
        frame = {}
        for line in self.lines:
            if not line and frame:
                return frame
            name, _, value = line.partition(": ")
            frame[name] = value
        raise AssertionError("the stream ended")


def test_the_stream_tells_what_arrives_and_what_is_cleared(client, sink):
    """GET /events sends what was there, then each arrival, then that all was cleared."""
    client.post(sink.url, content=BODY, headers=signed())
    with httpx.stream("GET", f"{sink.base}/events", trust_env=False, timeout=10) as response:
        stream = Stream(response)
        assert stream.frame() == {"retry": "1000"}
        anew = stream.frame()
        assert anew["event"] == "anew"
        assert json.loads(anew["data"]) == {"url": sink.url, "summary": "200"}
        first = json.loads(stream.frame()["data"])
        assert (first["number"], first["event"]) == (1, "customer.created")
        assert first["shown"].startswith('{\n  "event"')
        client.post(sink.url, content=b"two")
        assert json.loads(stream.frame()["data"])["number"] == 2
        client.delete(f"{sink.base}/received")
        assert stream.frame()["event"] == "anew"


def test_a_reader_that_comes_back_gets_the_rest_only(client, sink):
    """With the id it last saw, a reader gets what it missed; after a restart, everything."""
    for _ in range(3):
        client.post(sink.url, content=BODY)
    mark = sink.news("").mark
    seen = mark.rpartition(".")[0] + ".2"
    missed = sink.news(seen)
    assert (missed.anew, [each.number for each in missed.received]) == (False, [3])
    for foreign in ("", "other.0.2", "nonsense", f"{mark}\u0663"):
        news = sink.news(foreign)
        assert news.anew == (not foreign.startswith(mark.rpartition(".")[0]))
        assert len(news.received) == 3


def test_silence_is_answered_with_a_sign_of_life(sink):
    """When nothing comes, the stream says after a while that it still lives."""
    mark = sink.news("").mark
    assert sink.news(mark, timeout=0.01) == (mark, False, [])


def test_closing_ends_open_streams():
    """A page that is open does not keep the sink from ending."""
    sink = Sink().start()
    with httpx.stream("GET", f"{sink.base}/events", trust_env=False, timeout=10) as response:
        stream = Stream(response)
        stream.frame()
        start = time.monotonic()
        sink.close()
        assert time.monotonic() - start < 2
        with pytest.raises((AssertionError, httpx.TransportError)):
            [stream.frame() for _ in range(3)]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9", 200),
        ("localhost:9", 200),
        ("[::1]:9", 200),
        ("sink.localhost", 200),
        ("192.168.1.5", 200),
        ("evil.example", 403),
        ("evil.example:9000", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("[", 403),
    ],
)
def test_foreign_names_get_no_page(client, sink, host, status):
    """A site that points its own name at loopback (DNS rebinding) can read nothing."""
    for path in ("/", "/received"):
        assert client.get(sink.base + path, headers={"Host": host}).status_code == status
    deleted = client.delete(f"{sink.base}/received", headers={"Host": host})
    assert deleted.status_code == (204 if status == 200 else 403)
    assert client.post(sink.url, headers={"Host": host}).status_code == 200


def test_other_pages_do_not_exist(client, sink):
    """A browser that opens the webhook URL is told where the page is."""
    answer = client.get(sink.url)
    assert (answer.status_code, "the page is at /" in answer.text) == (404, True)
    assert client.delete(sink.url).status_code == 404
    assert client.head(sink.base).status_code == 200


def test_memory_is_bounded(client, monkeypatch):
    """Old webhooks are forgotten when their bodies take too much room."""
    monkeypatch.setattr(server, "KEEP_BYTES", 1000)
    with Sink() as sink:
        for size in (400, 400, 400, 5000, 10):
            client.post(sink.url, content=b"x" * size)
        assert [len(each.body) for each in sink.received] == [10]
        assert sink.total == 5


# The command -------------------------------------------------------------------------------------


class Running:
    """`hookline sink` as a process of its own."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hookline", "sink", "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.welcome = []
        stream = self.process.stderr if "--json" in options else self.process.stdout
        while not self.welcome or self.welcome[-1] != "\n":
            self.welcome.append(stream.readline())
            assert self.welcome[-1], self.process.communicate()
        self.url = re.search(r"http://\S+/webhook", "".join(self.welcome))[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=10)
        assert "Traceback" not in out + err
        return out, err, self.process.returncode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_from_start_to_end(client, number):
    """It says where it listens and how to register, prints what comes, and ends with a summary."""
    with Running("--secret", SECRET) as running:
        welcome = "".join(running.welcome)
        assert "signatures are checked (1 secret)" in welcome
        assert f'register_webhook("{running.url}", ["*"], secret="…")' in welcome
        assert SECRET not in welcome
        client.post(running.url, content=BODY, headers=signed())
        client.post(running.url, content=BODY)
        out, err, code = running.end(number)
    assert "customer.created  ✓ verified" in out
    assert out.splitlines()[-1] == "2 webhooks received, 1 verified, 1 not verified"
    assert (err, code) == ("", 0)


def test_json_lines(client):
    """With --json standard output has one JSON object per webhook and nothing else."""
    with Running("--json") as running:
        client.post(running.url, content=BODY, headers=signed())
        client.post(running.url, content=b"\x1b[2J\xff")
        out, err, code = running.end()
    first, second = (json.loads(line) for line in out.splitlines())
    assert (first["body"], first["verified"]) == (BODY.decode(), None)
    assert second["body"] == "\x1b[2J\ufffd"
    assert "\x1b" not in out
    assert err.splitlines()[-1] == "2 webhooks received"
    assert code == 0


@pytest.mark.parametrize(
    ("options", "statuses", "words"),
    [
        ([], [200, 200], "200"),
        (["--status", "503"], [503, 503], "503"),
        (["--status", "503", "--fail-first", "2"], [503, 503, 200], "503 for the first 2, then"),
        (["--fail-first", "1", "--delay", "1ms"], [500, 200], "500 once, then 200, after 0.001 s"),
        (["--drop", "--fail-first", "1"], [None, 200], "the connection is reset once, then 200"),
        (["--drop"], [None, None], "the connection is reset"),
    ],
)
def test_answers_as_told(client, options, statuses, words):
    """--status, --fail-first, --delay and --drop combine as their help says."""
    got = []
    with Running("--quiet", *options) as running:
        assert words in "".join(running.welcome)
        for _ in statuses:
            try:
                got.append(client.post(running.url, content=BODY).status_code)
            except httpx.TransportError:
                got.append(None)
    assert got == statuses


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--delay", "soon"], "250ms"),
        (["--drop", "--status", "500"], "no status"),
        (["--fail-first", "2", "--status", "201"], "is a success"),
        (["--fail-first", "0"], "or equal to 1"),
        (["--status", "99"], "or equal to 200"),
        (["--port", "70000"], "or equal to 65535"),
        (["--secret", ""], "empty"),
        (["--secret", "whsec_?"], "base64"),
    ],
)
def test_wrong_options_are_explained(options, words):
    """A wrong or contradictory option ends with code 2 and says what is expected."""
    done = CliRunner().invoke(app, ["sink", *options])
    assert done.exit_code == 2
    assert words in re.sub(r"[\s│]+", " ", done.output)


def test_a_taken_port_is_explained():
    """When the port is taken the command ends with code 1 and names another one."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = CliRunner().invoke(app, ["sink", "--port", str(port)])
    assert done.exit_code == 1
    assert f"port {port} is taken" in done.output
    assert f"--port {port + 1}" in done.output


def test_an_address_that_is_not_ours_is_explained():
    """An address this machine does not have is one clear line."""
    done = CliRunner().invoke(app, ["sink", "--host", "192.0.2.1"])
    assert done.exit_code == 1
    assert "cannot listen on 192.0.2.1" in done.output


def test_listening_beyond_loopback_is_warned_about(client):
    """Another address than loopback is taken only when asked for, and said aloud."""
    with Running("--host", "0.0.0.0", "--quiet") as running:
        assert "not only this machine" in "".join(running.welcome)
        base = running.url.replace("0.0.0.0", "127.0.0.1").removesuffix("/webhook")
        assert client.get(base, headers={"Host": "my-machine.lan"}).is_success
    with Running("--quiet") as running:
        assert "not only this machine" not in "".join(running.welcome)


@pytest.mark.parametrize("options", [["--json"], ["--quiet"]])
def test_a_reader_that_goes_away_ends_the_sink(client, options):
    """With `hookline sink | head -1` the sink ends when head does; the sender is answered."""
    with Running(*options) as running:
        running.process.stdout.close()
        assert client.post(running.url, content=BODY).is_success
        assert running.process.wait(timeout=10) == 0
        assert "Traceback" not in running.process.stderr.read()
        running.process.stdout = None


def test_a_terminal_without_unicode(client, monkeypatch):
    """What a terminal cannot show is written as a code, and the sender is answered."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    with Running("--secret", SECRET) as running:
        assert client.post(running.url, content=BODY, headers=signed()).is_success
        out, _, code = running.end()
    assert "\\u2713 verified" in out
    assert "\\u5f20\\u4e09" in out
    assert code == 0


def test_version_and_help():
    """--version prints the version; the help lists the commands."""
    assert CliRunner().invoke(app, ["--version"]).output == f"hookline {hookline.__version__}\n"
    assert "sink" in CliRunner().invoke(app, ["--help"]).output
    assert "--fail-first" in CliRunner().invoke(app, ["sink", "--help"], terminal_width=120).output


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("250ms", 0.25), ("2s", 2), ("1m", 60), ("1.5h", 5400), ("3", 3), (" 0s ", 0)],
)
def test_durations(typed, seconds):
    """Durations are written with their unit; a bare number counts seconds."""
    assert duration(typed) == seconds


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("LOCALHOST.", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_loopback(host, loopback):
    """Only addresses that no other machine reaches are loopback."""
    assert is_loopback(host) is loopback
