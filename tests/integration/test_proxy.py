"""Forward proxies: what they are told, and that the guard holds with them."""

import socket
from contextlib import ExitStack

import pytest
from tests.integration.private_support import (
    NAME,
    Http2Receiver,
    Proxy,
    Receiver,
    Socks,
    authority,
    server_context,
)
from tests.integration.support import Sending

from hookline._domain.address import Policy
from hookline._domain.delivery import Failure
from hookline._domain.identity import parse_proxy

BOTH = pytest.mark.parametrize("kind", [Proxy, Socks])


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start(stack):
    """Start a server of any kind."""

    def start(kind, **options):
        made = kind(**options)
        stack.callback(made.close)
        return made

    return start


@pytest.fixture
def sender_of(stack):
    """Return a maker of senders whose names lead to these addresses."""

    def make(names):
        def lookup(host):
            asked.append(host)
            return names[host]

        asked = []
        sending = Sending(lookup=lookup)
        sending.asked = asked
        stack.callback(sending.sender.stop)
        return sending

    return make


@pytest.fixture
def sending(sender_of):
    """A sender that knows one name."""
    return sender_of({NAME: ["127.0.0.1"]})


@pytest.fixture
def tls(tmp_path):
    """A server's TLS for the name."""
    return server_context(tmp_path, *authority().issue("server", NAME))


def through(proxy, *, resolves=False, **more):
    return {"proxy": parse_proxy(proxy.url, resolves=resolves), **more}


# what the proxy is told -------------------------------------------------------------------------


@BOTH
def test_the_proxy_is_given_the_checked_address(sending, start, tls, kind):
    """The name stays with us and with the receiver: TLS and `Host` have it, the proxy does not."""
    proxy, receiver = start(kind), start(Receiver, tls=tls)
    outcome = sending.send(receiver.url(), **through(proxy, ca=authority().certificate))
    assert outcome.ok, outcome
    how = "CONNECT" if kind is Proxy else "address"
    assert proxy.asked == [(how, f"127.0.0.1:{receiver.port}")]
    [(_, _, headers, _)] = receiver.seen
    assert headers["host"] == f"{NAME}:{receiver.port}"
    assert NAME not in str(proxy.seen)


@BOTH
def test_plain_http_goes_through_a_tunnel_too(sending, start, kind):
    """The proxy sees no request: no path, no header, no body."""
    proxy, receiver = start(kind), start(Receiver)
    headers = ["Authorization: Bearer endpoint", "X-Own: yes"]
    assert sending.send(receiver.url(), headers=headers, **through(proxy)).ok
    assert [target for _, target in proxy.asked] == [f"127.0.0.1:{receiver.port}"]
    assert receiver.seen[0][2]["authorization"] == "Bearer endpoint"
    for seen in proxy.seen:
        assert set(seen) <= {"host", "proxy-connection", "user-agent"}


@BOTH
def test_user_and_password(sending, start, kind):
    """The proxy gets them, the receiver does not."""
    proxy, receiver = start(kind, user="me:p@ss/word"), start(Receiver)
    given = {"proxy": parse_proxy(proxy.url.replace("p@ss/word", "p%40ss%2Fword"))}
    assert sending.send(receiver.url(), **given).ok
    [(_, _, headers, _)] = receiver.seen
    assert not any(name.startswith("proxy-") for name in headers)


@BOTH
def test_connections_through_a_proxy_are_kept(sending, start, kind):
    """One tunnel serves many requests to the same name and address."""
    proxy, receiver = start(kind), start(Receiver)
    assert all(sending.send(receiver.url(), **through(proxy)).ok for _ in range(5))
    assert (proxy.connections, receiver.connections) == (1, 1)


def test_a_tunnel_is_of_its_user(sending, start):
    """What one user's tunnel leads to is not used by another user, or by nobody."""
    proxy, receiver = start(Proxy, user="me:right"), start(Receiver)
    assert sending.send(receiver.url(), **through(proxy)).ok
    for user in ("", "me:wrong@", "you:right@"):
        other = parse_proxy(f"http://{user}127.0.0.1:{proxy.port}")
        assert sending.send(receiver.url(), proxy=other).failure is Failure.PROXY
    assert len(receiver.seen) == 1


@BOTH
def test_with_and_without_a_proxy(sending, start, kind):
    """Endpoints on one host, some through a proxy, some not: none takes the other's way."""
    proxy, other, receiver = start(kind), start(kind), start(Receiver)
    for way in ({}, through(proxy), {}, through(other), through(proxy)):
        assert sending.send(receiver.url(), **way).ok
    assert (receiver.connections, proxy.connections, other.connections) == (3, 1, 1)


def test_a_proxy_with_tls(sender_of, start, tls, stack, tmp_path, monkeypatch):
    """An https:// proxy must have a certificate that the system trusts, for its own name."""
    trusted = tmp_path / "system.pem"
    trusted.write_text(authority("System").certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    names = {NAME: ["127.0.0.1"], "proxy.example.com": ["127.0.0.1"]}
    sending = sender_of({**names, "wrong.example.com": ["127.0.0.1"]})
    own = server_context(tmp_path, *authority("System").issue("proxy", "proxy.example.com"))
    proxy, receiver = start(Proxy, tls=own), start(Receiver, tls=tls)
    given = parse_proxy(f"https://proxy.example.com:{proxy.port}")
    outcome = sending.send(receiver.url(), proxy=given, ca=authority().certificate)
    assert outcome.ok, outcome
    assert proxy.asked == [("CONNECT", f"127.0.0.1:{receiver.port}")]
    wrong = parse_proxy(f"https://wrong.example.com:{proxy.port}")
    outcome = sending.send(receiver.url(), proxy=wrong, ca=authority().certificate)
    assert outcome.failure is Failure.PROXY


def test_http2_through_a_proxy(sending, start, tmp_path):
    """What is inside of the tunnel is between us and the receiver."""
    tls = server_context(tmp_path, *authority().issue("server", NAME), protocols=("h2",))
    proxy, receiver = start(Proxy), start(Http2Receiver, tls=tls)
    given = through(proxy, ca=authority().certificate, http2=True)
    assert sending.send(receiver.url(), **given).ok
    assert len(receiver.streams) == 1


def test_client_certificates_through_one_proxy(sending, start, tmp_path):
    """Tunnels through the same proxy to the same host are of their own certificate."""
    clients = authority().certificate
    tls = server_context(tmp_path, *authority().issue("server", NAME), clients)
    proxy, receiver = start(Proxy), start(Receiver, tls=tls)
    issued = {name: authority().issue(name) for name in ("one", "two")}
    for name in ("one", "two", "one"):
        own = dict(zip(("certificate", "key"), issued[name], strict=True))
        assert sending.send(receiver.url(), **through(proxy, ca=clients, **own)).ok
    assert receiver.clients == ["one", "two", "one"]
    assert receiver.connections == 2


# the guard ----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("address", ["10.0.0.7", "169.254.169.254", "::1"])
def test_the_guard_holds(sender_of, start, kind, address):
    """What may not be sent to directly is not asked of a proxy either."""
    proxy = start(kind)
    sending = sender_of({NAME: [address]})
    outcome = sending.send(f"https://{NAME}/", policy=Policy.of(), **through(proxy))
    assert outcome.failure is Failure.BLOCKED
    assert outcome.detail.startswith("blocked_address: ")
    literal = f"https://[{address}]/" if ":" in address else f"https://{address}/"
    outcome = sending.send(literal, policy=Policy.of(), **through(proxy))
    assert outcome.failure is Failure.BLOCKED
    assert proxy.connections == 0


@BOTH
def test_the_proxy_itself_may_be_anywhere(sender_of, start, kind):
    """It is the operator's word: its address is not judged, that of the receiver is."""
    proxy = start(kind, names={"93.184.216.34": "127.0.0.1"})
    receiver = start(Receiver)
    sending = sender_of({NAME: ["93.184.216.34"], "proxy": ["127.0.0.1"]})
    given = parse_proxy(proxy.url.replace("127.0.0.1", "proxy"))
    outcome = sending.send(receiver.url(), policy=Policy.of(http=True), proxy=given)
    assert outcome.ok, outcome
    assert [target for _, target in proxy.asked] == [f"93.184.216.34:{receiver.port}"]
    assert sorted(sending.asked) == [NAME, "proxy"]


@BOTH
def test_only_the_proxys_own_address_is_dialled(sender_of, start, kind, monkeypatch):
    """A socket for any other address than the proxy's is not even opened."""
    from hookline._sending import curl as libcurl

    proxy, receiver = start(kind), start(Receiver)
    right = libcurl._use_proxy

    def wrong(curl, proxy):
        right(curl, proxy)
        curl.setopt(libcurl.pycurl.PROXY, f"{kind.scheme}://127.0.0.2:9")

    monkeypatch.setattr(libcurl, "_use_proxy", wrong)
    sending = sender_of({NAME: ["127.0.0.1"]})
    outcome = sending.send(receiver.url(), **through(proxy))
    assert outcome.failure is Failure.BLOCKED
    assert outcome.detail == "127.0.0.2 is not the address that was checked"
    assert not receiver.seen


@BOTH
def test_a_proxy_that_resolves(sender_of, start, tls, kind):
    """`proxy_resolves`: the name is the proxy's to resolve, and is looked up nowhere else."""
    proxy, receiver = start(kind, names={NAME: "127.0.0.1"}), start(Receiver, tls=tls)
    sending = sender_of({})
    given = through(proxy, resolves=True, ca=authority().certificate)
    assert sending.send(receiver.url(), policy=Policy.of(), **given).ok
    how = "CONNECT" if kind is Proxy else "name"
    assert proxy.asked == [(how, f"{NAME}:{receiver.port}")]
    assert sending.asked == []


@BOTH
@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        ("https://10.0.0.7/", "blocked_address: private network 10.0.0.0/8"),
        ("https://[::ffff:10.0.0.7]/", "blocked_address: "),
        ("https://localhost/", "blocked_name: "),
        ("https://metadata.internal/", "blocked_name: "),
        (f"http://{NAME}/", "blocked_scheme: "),
    ],
)
@pytest.mark.parametrize("networks", [(), ("192.168.0.0/16",)])
def test_what_is_judged_of_what_the_proxy_resolves(sender_of, start, kind, url, verdict, networks):
    """Literal addresses, names for local use and plain http, also with networks allowed."""
    proxy = start(kind)
    outcome = sender_of({}).send(url, policy=Policy.of(networks), **through(proxy, resolves=True))
    assert outcome.failure is Failure.BLOCKED
    assert outcome.detail.startswith(verdict)
    assert proxy.connections == 0


@BOTH
def test_a_proxy_that_moves(stack, start, kind, monkeypatch):
    """Its name is looked up as any other; a new address is dialled for new connections."""
    from hookline._sending import guard

    monkeypatch.setattr(guard, "FRESH", 0)
    moves = ["127.0.0.1", "127.0.0.2"]
    sending = Sending(lookup=lambda host: ["127.0.0.1"] if host == NAME else [moves.pop(0)])
    stack.callback(sending.sender.stop)
    receiver, first = start(Receiver), start(kind)
    receiver.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    second = start(kind, host="127.0.0.2", port=first.port)
    given = parse_proxy(f"{kind.scheme}://proxy.example.com:{first.port}")
    peers = [sending.send(receiver.url(), proxy=given).peer for _ in range(2)]
    assert peers == ["127.0.0.1", "127.0.0.2"]
    assert (len(first.asked), len(second.asked)) == (1, 1)


# what goes wrong ----------------------------------------------------------------------------------


def check_failed(outcome, *words):
    """The proxy's failure has its class; nothing it said is taken for the receiver's word."""
    assert outcome.failure is Failure.PROXY, outcome
    assert outcome.status is None
    assert (outcome.headers, outcome.body) == ((), b"")
    for word in words:
        assert word in outcome.detail
    assert "secret" not in outcome.detail


def test_a_407(sending, sender_of, start):
    """A wrong password is the proxy's failure, and its headers are not the receiver's."""
    proxy, receiver = start(Proxy, user="me:right"), start(Receiver)
    given = parse_proxy(f"http://me:secret@127.0.0.1:{proxy.port}")
    several = sender_of({NAME: ["127.0.0.1", "127.0.0.2", "127.0.0.3"]})
    check_failed(sending.send(receiver.url(), proxy=given), "407")
    check_failed(several.send(receiver.url(), proxy=given), "407")
    assert (len(proxy.asked), len(receiver.seen)) == (2, 0)  # not once for each address


def test_a_wrong_password_for_socks(sending, start):
    """As with HTTP."""
    proxy, receiver = start(Socks, user="me:right"), start(Receiver)
    given = parse_proxy(f"socks5://me:secret@127.0.0.1:{proxy.port}")
    check_failed(sending.send(receiver.url(), proxy=given))
    assert not receiver.seen


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"\x00\x01\x02\x03",
        b"",
        b"HTTP/1.1 410 Gone\r\nwebhook-delivery: disable\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 99999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
    ],
)
def test_a_proxy_that_answers_nonsense(sending, start, answer):
    """Whatever it says instead of a tunnel, it is a failure of the proxy."""
    proxy = start(Proxy, answer=answer)
    check_failed(sending.send(f"http://{NAME}:9/", **through(proxy)))


def test_socks_that_answers_nonsense(sending, start):
    """Not even SOCKS."""

    class Nonsense(Socks):
        def serve(self, connection, number):
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    check_failed(sending.send(f"http://{NAME}:9/", **through(start(Nonsense))))


@BOTH
def test_a_proxy_that_does_not_answer(sending, start, kind):
    """It costs its own requests their connect timeout."""

    class Silent(kind):
        def serve(self, connection, number):
            self.enough.wait(10)

    outcome = sending.send(f"http://{NAME}:9/", connect=0.3, **through(start(Silent)))
    assert outcome.failure is (Failure.PROXY if kind is Proxy else Failure.CONNECT_TIMEOUT)
    assert outcome.timings.total < 2_000_000


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
def test_no_proxy_there(sending, scheme):
    """Nobody listens where the proxy should be."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    outcome = sending.send(f"http://{NAME}:9/", proxy=parse_proxy(f"{scheme}://127.0.0.1:{port}"))
    check_failed(outcome)


@pytest.mark.parametrize("answer", [[], OSError(-2, "Name or service not known")])
def test_a_proxys_name_that_leads_nowhere(stack, answer):
    """The failure says whose name it was."""

    def lookup(host):
        if host == NAME:
            return ["127.0.0.1"]
        if isinstance(answer, OSError):
            raise answer
        return answer

    sending = Sending(lookup=lookup)
    stack.callback(sending.sender.stop)
    given = parse_proxy("http://proxy.example.com:3128")
    check_failed(sending.send(f"http://{NAME}:9/", proxy=given), "its name cannot be resolved")


def test_a_proxys_name_that_takes_long(stack, start):
    """It keeps nobody waiting who does not go through it."""
    import threading

    release = threading.Event()

    def lookup(host):
        if host == "slow.example.com":
            release.wait(10)
        return ["127.0.0.1"]

    sending, receiver = Sending(lookup=lookup), start(Receiver)
    stack.callback(release.set)
    stack.callback(sending.sender.stop)
    slow = parse_proxy("http://slow.example.com:3128")
    sending.start(receiver.url(), tag="slow", connect=0.3, proxy=slow)
    sending.start(receiver.url(), tag="quick")
    assert sending.take()[0] == "quick"
    tag, outcome = sending.take()
    assert tag == "slow"
    check_failed(outcome, "no answer within 0.3 s")


@BOTH
def test_a_receiver_that_is_not_there(sender_of, start, kind):
    """The proxy says so; the next address is tried, as without a proxy."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    proxy = start(kind, names={"127.0.0.9": "127.0.0.1"})
    receiver = start(Receiver)
    sending = sender_of({NAME: ["127.0.0.3", "127.0.0.1"], "gone.example.com": ["127.0.0.1"]})
    check_failed(sending.send(f"http://gone.example.com:{port}/", **through(proxy)))
    assert sending.send(receiver.url(), **through(proxy)).ok
    assert [target.partition(":")[0] for _, target in proxy.asked] == [
        "127.0.0.1",
        "127.0.0.3",
        "127.0.0.1",
    ]


@BOTH
def test_a_receivers_failure_is_its_own(sending, start, tmp_path, kind):
    """Behind the open tunnel it is the receiver who fails: its certificate, its reset."""
    proxy = start(kind)
    stranger = server_context(tmp_path, *authority("Another").issue("server", NAME))
    receiver = start(Receiver, tls=stranger)
    given = through(proxy, ca=authority().certificate)
    assert sending.send(receiver.url(), **given).failure is Failure.TLS

    class Leaves(Receiver):
        left = 0

        def serve(self, connection, number):
            if self.left:
                super().serve(connection, number)
            connection.recv(65536)

    assert sending.send(start(Leaves).url(), **through(proxy)).failure is Failure.RESET

    class Second(Receiver):
        def serve(self, connection, number):
            connection.recv(65536)
            connection.sendall(self.answer)
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    second = start(Second)
    assert sending.send(second.url(), **through(proxy)).ok
    assert sending.send(second.url(), **through(proxy)).failure is Failure.RESET


def test_the_environment_names_no_proxy(sending, start, monkeypatch):
    """Neither for those without a proxy nor for those with one."""
    proxy, trap, receiver = start(Proxy), start(Proxy), start(Receiver)
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, trap.url)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    assert sending.send(receiver.url()).ok
    assert sending.send(receiver.url(), **through(proxy)).ok
    assert (trap.connections, proxy.connections) == (0, 1)
