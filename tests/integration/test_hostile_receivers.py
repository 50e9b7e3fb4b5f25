"""The sender against receivers that do their worst: each failure has its class, none escapes.

Every receiver here is a raw socket. Timeouts are tenths of a second where the test is about them.
"""

import socket
import ssl
import threading
import time
from contextlib import ExitStack, suppress
from itertools import cycle, repeat
from pathlib import Path

import pytest
from tests.integration.support import Sending

from hookline._domain.delivery import Failure
from hookline._domain.url import Url
from hookline.testing import Receiver

CERTIFICATE = Path(__file__).parents[1] / "vectors" / "self_signed.pem"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Hostile:
    """A listening socket; each connection is handed to `behave(connection)` in a thread.

    `enough` is set at the end of the test: behaviours that go on for ever look at it.
    """

    def __init__(self, behave, tls=None):
        self.behave = behave
        self.tls = tls
        self.enough = threading.Event()
        self.requests = []
        self.open = []
        self.server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.server.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/hook"
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self.server.accept()
                self.open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self.threads.append(thread)
                thread.start()

    def _serve(self, connection):
        # The sender goes away when it has had enough: that is not the test's business.
        with connection, suppress(OSError):
            if self.tls:
                with self.tls.wrap_socket(connection, server_side=True) as wrapped:
                    self.behave(self, wrapped)
            else:
                self.behave(self, connection)
                connection.shutdown(socket.SHUT_WR)

    def read(self, connection):
        """Read one request whole and remember it."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return False
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        while len(body) < length:
            body += connection.recv(65536)
        self.requests.append((lines[0], headers, body))
        return True

    def pour(self, connection, pieces, pause=0.0):
        """Send pieces until they end, the sender leaves or the test is over."""
        for piece in pieces:
            connection.sendall(piece)
            if pause and self.enough.wait(pause):
                return
            if self.enough.is_set():
                return

    def close(self):
        """Stop listening and end every thread."""
        self.enough.set()
        with suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for connection in self.open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(5)

    @property
    def connections(self):
        """Return how many connections there were."""
        return len(self.open)


@pytest.fixture
def hostile():
    """Return a maker of hostile receivers: `hostile(behave)`, or `hostile(bytes_to_answer)`."""
    with ExitStack() as stack:

        def make(behave, tls=None):
            if isinstance(behave, bytes):
                answer = behave

                def behave(server, connection):
                    server.read(connection)
                    connection.sendall(answer)

            server = Hostile(behave, tls)
            stack.callback(server.close)
            return server

        yield make


def other(scheme):
    """A URL the parser would never return."""
    return Url(scheme, "127.0.0.1", 1, "/")


@pytest.fixture
def sending():
    """A running sender with a small cap on answers."""
    sending = Sending(response_limit=1000)
    yield sending
    sending.sender.stop()


def summary(outcome):
    """Return what decides: the status and the failure."""
    return outcome.status, outcome.failure


# answers as they should be --------------------------------------------------------------------


def test_a_plain_answer(sending, hostile):
    """A 200 is a success with its body, its headers, its peer and the times of its phases."""
    outcome = sending.send(hostile(OK).url)
    assert summary(outcome) == (200, None)
    assert outcome.ok
    assert outcome.body == b"ok"
    assert outcome.header("content-length") == "2"
    assert outcome.peer == "127.0.0.1"
    assert 0 < outcome.timings.connect <= outcome.timings.first_byte <= outcome.timings.total


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(sending, hostile, status):
    """200 to 299 succeed, with or without a body."""
    assert summary(sending.send(hostile(b"HTTP/1.1 %d X\r\n\r\n" % status).url)) == (status, None)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503, 599, 600, 999])
def test_other_statuses_fail(sending, hostile, status):
    """Every status outside 2xx and 3xx is a failure of class `status`."""
    answer = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status
    assert summary(sending.send(hostile(answer).url)) == (status, Failure.STATUS)


def test_a_request_to_the_byte(sending, hostile):
    """The request has our headers and the body, a length, no chunks and no expectation."""
    server = hostile(OK)
    body = '{"name":"张三"}'.encode() * 5000
    assert sending.send(server.url, body).ok
    [(line, headers, sent)] = server.requests
    assert line == "POST /hook HTTP/1.1"
    assert sent == body
    assert headers["content-length"] == str(len(body))
    assert headers["content-type"] == "application/json"
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert set(headers) == {"accept", "content-length", "content-type", "host", "user-agent"}


def test_connections_are_kept(sending, hostile):
    """Ten requests one after the other use one connection."""

    def behave(server, connection):
        while server.read(connection):
            connection.sendall(OK)

    server = hostile(behave)
    for _ in range(10):
        assert sending.send(server.url).ok
    assert (server.connections, len(server.requests)) == (1, 10)


def test_a_kept_connection_that_died_costs_nothing(sending, hostile):
    """A connection the receiver closed after its answer is replaced, not reported."""
    server = hostile(OK)  # answers once and closes, without saying so
    for _ in range(5):
        assert sending.send(server.url).ok
    assert len(server.requests) == 5


def test_an_interim_answer_is_skipped(sending, hostile):
    """A 100 or 103 before the answer does not count, nor do its headers."""
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    outcome = sending.send(hostile(b"HTTP/1.1 100 Continue\r\n\r\n" + interim + OK).url)
    assert summary(outcome) == (200, None)
    assert outcome.header("link") is None


# time -------------------------------------------------------------------------------------------


def test_an_answer_that_never_comes(sending, hostile):
    """A receiver that reads and says nothing fails at the deadline, no later."""

    def behave(server, connection):
        server.read(connection)
        server.enough.wait(10)

    began = time.monotonic()
    outcome = sending.send(hostile(behave).url, total=0.3)
    assert summary(outcome) == (None, Failure.TIMEOUT)
    assert 0.25 < time.monotonic() - began < 2


def test_a_receiver_that_does_not_even_read(sending, hostile):
    """A receiver that leaves a large body in its buffer fails at the deadline."""
    server = hostile(lambda server, _: server.enough.wait(10))
    outcome = sending.send(server.url, b"x" * (1 << 23), total=0.3)
    assert summary(outcome) == (None, Failure.TIMEOUT)


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"],
    ids=["header", "body"],
)
def test_a_trickle_hits_the_total_deadline(sending, hostile, head):
    """A byte now and then keeps nothing alive: the deadline is over all of the answer."""

    def behave(server, connection):
        server.read(connection)
        connection.sendall(head)
        server.pour(connection, repeat(b"x", 800), pause=0.02)

    began = time.monotonic()
    outcome = sending.send(hostile(behave).url, total=0.4)
    assert summary(outcome) == (200, Failure.TIMEOUT)
    assert not outcome.ok
    assert time.monotonic() - began < 2


def test_interim_answers_for_ever(sending, hostile):
    """A receiver that only ever says `100 Continue` fails: it is not a success, and it ends."""

    def behave(server, connection):
        server.read(connection)
        server.pour(connection, repeat(b"HTTP/1.1 100 Continue\r\n\r\n"), pause=0.005)

    outcome = sending.send(hostile(behave).url, total=0.4)
    assert outcome.failure in (Failure.TIMEOUT, Failure.PROTOCOL)
    assert outcome.status in (None, 100)


def test_a_full_backlog_is_a_connection_timeout(sending):
    """A host that does not take the connection fails by the connect deadline, not the total."""
    with socket.socket() as full, ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # until the kernel takes no more
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        began = time.monotonic()
        outcome = sending.send(url, connect=0.3, total=5)
        assert summary(outcome) == (None, Failure.CONNECT_TIMEOUT)
        assert time.monotonic() - began < 2


# size -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "failure"), [(200, None), (500, Failure.STATUS), (302, Failure.REDIRECT)]
)
def test_an_endless_body_is_cut(sending, hostile, status, failure):
    """A body without end is read up to the cap, and the answer counts by its status."""

    def behave(server, connection):
        server.read(connection)
        connection.sendall(b"HTTP/1.1 %d X\r\n\r\n" % status)
        server.pour(connection, repeat(b"x" * 65536))

    began = time.monotonic()
    outcome = sending.send(hostile(behave).url)
    assert summary(outcome) == (status, failure)
    assert outcome.body == b"x" * 1000
    assert time.monotonic() - began < 3


def test_endless_chunks_are_cut(sending, hostile):
    """The same for a chunked body."""

    def behave(server, connection):
        server.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        server.pour(connection, repeat(b"400\r\n" + b"y" * 1024 + b"\r\n"))

    outcome = sending.send(hostile(behave).url)
    assert summary(outcome) == (200, None)
    assert outcome.body == b"y" * 1000


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 5000])
def test_bodies_around_the_cap(sending, hostile, size):
    """A body is kept whole up to the cap and cut there; either way it is a success."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"z" * size
    outcome = sending.send(hostile(answer).url)
    assert (summary(outcome), len(outcome.body)) == ((200, None), min(size, 1000))


def test_no_body_is_kept_when_told_so(hostile):
    """With a cap of 0 nothing of the body is kept, and the answer counts."""
    sending = Sending(response_limit=0)
    try:
        outcome = sending.send(hostile(OK).url)
        assert (summary(outcome), outcome.body) == ((200, None), b"")
    finally:
        sending.sender.stop()


def test_huge_headers(sending, hostile):
    """A megabyte of headers is refused as malformed, without holding it."""
    line = b"X-Filler: " + b"f" * 8000 + b"\r\n"
    outcome = sending.send(hostile(b"HTTP/1.1 200 OK\r\n" + line * 128 + b"\r\n").url)
    assert outcome.failure is Failure.PROTOCOL


def test_headers_without_end(sending, hostile):
    """Header lines that never end are refused as malformed, long before the deadline."""

    def behave(server, connection):
        server.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        server.pour(connection, repeat(b"X-Filler: %s\r\n" % (b"f" * 1000)))

    began = time.monotonic()
    outcome = sending.send(hostile(behave).url, total=8)
    assert outcome.failure is Failure.PROTOCOL
    assert time.monotonic() - began < 4


def test_many_headers_are_kept_in_part(sending, hostile):
    """Of many headers the first are kept, a bounded number of a bounded size."""
    lines = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 200) for n in range(500))
    outcome = sending.send(hostile(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n").url)
    assert outcome.ok
    assert outcome.headers[0] == ("x-0", "v" * 200)
    assert len(outcome.headers) <= 64
    assert sum(len(name) + len(value) for name, value in outcome.headers) <= 8192


def test_odd_headers_do_no_harm(sending, hostile):
    """Header lines in other encodings or without a colon are taken as they are."""
    lines = b"X-Latin: caf\xe9\r\nX-Utf: \xe5\xbc\xa0\r\nX-Empty:\r\nX-Nul: a\x01b\r\n"
    outcome = sending.send(hostile(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n").url)
    assert outcome.ok
    assert outcome.header("x-latin") == "caf\xe9"
    assert outcome.header("x-empty") == ""


# ends -------------------------------------------------------------------------------------------


def reset(connection):
    """Close with a reset instead of an orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def behave_reset(server, connection):
    """Read the request and reset."""
    server.read(connection)
    reset(connection)


def behave_reset_at_once(_server, connection):
    """Reset without reading."""
    reset(connection)


def behave_close(server, connection):
    """Read the request and close without a word."""
    server.read(connection)


def behave_reset_in_the_body(server, connection):
    """Send half a body and reset."""
    server.read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    time.sleep(0.05)  # so that the reset does not overtake the bytes
    reset(connection)


@pytest.mark.parametrize(
    "behave",
    [behave_reset, behave_close, behave_reset_in_the_body],
    ids=["reset", "close", "reset in the body"],
)
def test_a_connection_that_breaks(sending, hostile, behave):
    """A reset or an end before the answer is whole is a failure of class `reset`."""
    assert sending.send(hostile(behave).url).failure is Failure.RESET


def test_a_connection_that_breaks_at_once(sending, hostile):
    """A reset that may come before the connection is noticed counts as one or the other."""
    outcome = sending.send(hostile(behave_reset_at_once).url)
    assert outcome.failure in (Failure.RESET, Failure.CONNECT)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK",
    ],
    ids=[
        "after the headers",
        "half a body",
        "half a chunk",
        "half a header",
        "no end of headers",
        "no header",
        "half a status line",
    ],
)
def test_an_answer_that_ends_too_soon(sending, hostile, answer):
    """An answer shorter than it says is no success."""
    outcome = sending.send(hostile(answer).url)
    assert outcome.failure in (Failure.RESET, Failure.PROTOCOL)
    assert not outcome.ok


def test_more_body_than_announced(sending, hostile):
    """Bytes beyond the announced length do not belong to the answer, nor to the next one."""

    def behave(server, connection):
        while server.read(connection):
            connection.sendall(OK + b"HTTP/1.1 500 Smuggled\r\n\r\n")

    server = hostile(behave)
    for _ in range(3):
        outcome = sending.send(server.url)
        assert (summary(outcome), outcome.body) == ((200, None), b"ok")


def test_nobody_listens(sending):
    """A closed port is a failure of class `connect`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = sending.send(f"http://127.0.0.1:{port}/")
    assert summary(outcome) == (None, Failure.CONNECT)


def test_a_name_that_does_not_exist(sending):
    """A name that does not resolve is a failure of class `dns`."""
    outcome = sending.send("http://no-such-name.invalid/")
    assert summary(outcome) == (None, Failure.DNS)


# nonsense ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\xff\xfe\x80 garbage \r\n\r\n" * 3,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
    ],
    ids=[
        "bytes",
        "another protocol",
        "status of letters",
        "no status",
        "version",
        "negative length",
        "length of letters",
        "chunk of letters",
    ],
)
def test_garbage_is_malformed(sending, hostile, answer):
    """What is no HTTP answer is a failure of class `protocol`, never a success."""
    assert sending.send(hostile(answer).url).failure is Failure.PROTOCOL


def test_an_answer_without_a_question(sending, hostile):
    """A receiver that answers before it has read, and closes, gets one outcome all the same."""

    def behave(_server, connection):
        connection.sendall(OK)

    outcome = sending.send(hostile(behave).url, b"x" * (1 << 20))
    assert outcome.ok or outcome.failure is Failure.RESET


# where it must not go ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(sending, hostile, status):
    """A redirect is a failure, and the place it points to sees nothing."""
    with Receiver() as elsewhere:
        location = f"HTTP/1.1 {status} X\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n"
        outcome = sending.send(hostile(location.encode()).url)
        assert summary(outcome) == (status, Failure.REDIRECT)
        assert outcome.header("location") == elsewhere.url
        assert elsewhere.count == 0


def test_proxies_of_the_environment_are_ignored(hostile, monkeypatch):
    """Whatever the environment says about proxies, the request goes to the receiver itself."""
    proxy = hostile(b"HTTP/1.1 502 I am the proxy\r\nContent-Length: 0\r\n\r\n")
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    sending = Sending()
    try:
        assert summary(sending.send(hostile(OK).url)) == (200, None)
    finally:
        sending.sender.stop()
    assert proxy.connections == 0


def test_cookies_are_not_kept(sending, hostile):
    """A cookie of one answer is not in the next request."""

    def behave(server, connection):
        while server.read(connection):
            connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n"))

    server = hostile(behave)
    for _ in range(2):
        assert sending.send(server.url).ok
    assert ["cookie" in headers for _, headers, _ in server.requests] == [False, False]


@pytest.mark.parametrize("scheme", ["ftp", "gopher", "dict"])
def test_only_http_is_spoken(sending, scheme):
    """Another scheme is a failure without a connection."""
    outcome = sending.send(other(scheme))
    assert outcome.status is None
    assert outcome.failure is Failure.PROTOCOL
    assert outcome.body == b""


def test_a_self_signed_certificate_is_refused(sending, hostile):
    """A receiver whose certificate nobody vouches for is a failure of class `tls`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server = hostile(OK, tls=context)
    outcome = sending.send(server.url)
    assert summary(outcome) == (None, Failure.TLS)
    assert outcome.detail
    assert server.requests == []


def test_a_trusted_certificate_is_accepted(hostile, monkeypatch):
    """A certificate of an authority in SSL_CERT_FILE is trusted, for its own name only."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    sending = Sending()
    try:
        server = hostile(OK, tls=context)
        outcome = sending.send(server.url)
        assert summary(outcome) == (200, None)
        assert 0 < outcome.timings.connect < outcome.timings.tls <= outcome.timings.first_byte
        other = server.url.replace("127.0.0.1", "127.0.0.2")
        assert sending.send(other, connect=1).failure in (Failure.TLS, Failure.CONNECT)
    finally:
        sending.sender.stop()


def test_plain_http_where_tls_is_expected(sending, hostile):
    """A receiver that answers a TLS handshake with plain text is a failure of class `tls`."""
    url = hostile(lambda _, connection: connection.sendall(OK)).url
    assert sending.send(url.replace("http:", "https:")).failure is Failure.TLS


# many at once -----------------------------------------------------------------------------------


def test_one_hanging_receiver_does_not_hold_up_others(sending, hostile):
    """While twenty requests hang, another receiver is answered at once."""

    def hang(server, connection):
        server.read(connection)
        server.enough.wait(10)

    slow, quick = hostile(hang), hostile(OK)
    for n in range(20):
        sending.start(slow.url, tag=n, total=1)
    began = time.monotonic()
    sending.start(quick.url, tag="quick")
    tag, outcome = sending.take()
    assert (tag, outcome.ok) == ("quick", True)
    assert time.monotonic() - began < 0.9
    rest = [sending.take() for _ in range(20)]
    assert {tag for tag, _ in rest} == set(range(20))
    assert {outcome.failure for _, outcome in rest} == {Failure.TIMEOUT}


def test_every_request_gets_one_outcome(sending, hostile):
    """Two hundred requests to receivers of every kind: each tag comes back exactly once."""
    kinds = [
        hostile(OK).url,
        hostile(behave_reset).url,
        hostile(b"garbage\r\n\r\n").url,
        hostile(b"HTTP/1.1 302 X\r\nLocation: /\r\n\r\n").url,
        "http://127.0.0.1:1/",
        other("gopher"),
    ]
    for n, url in zip(range(200), cycle(kinds), strict=False):
        sending.start(url, tag=n)
    tags = [sending.take()[0] for _ in range(200)]
    assert sorted(tags) == list(range(200))


def test_stop_drops_what_is_in_flight(hostile):
    """`stop` returns at once although a request hangs, may be repeated, and leaves no thread."""

    def hang(server, connection):
        server.read(connection)
        server.enough.wait(10)

    server = hostile(hang)
    sending = Sending()
    sending.start(server.url)
    for _ in range(500):
        if server.requests:
            break
        server.enough.wait(0.01)
    began = time.monotonic()
    sending.sender.stop()
    sending.sender.stop()
    assert time.monotonic() - began < 2
    assert "hookline-curl" not in {thread.name for thread in threading.enumerate()}


def test_start_again_after_stop(hostile):
    """A sender that was stopped may be started again."""
    server = hostile(OK)
    sending = Sending()
    assert sending.send(server.url).ok
    sending.sender.stop()
    sending.sender.start(sending._take)
    try:
        assert sending.send(server.url).ok
    finally:
        sending.sender.stop()
