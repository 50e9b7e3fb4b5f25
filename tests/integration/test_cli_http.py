"""The client before the REST API: where a key goes, and where it must not go."""

import json
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hookline.cli._reach.http import Client, Refused, in_the_clear
from hookline.errors import InvalidInput, InvalidSettings

KEY = "hk_test"


@contextmanager
def answering(status=200, body=b"{}", headers=(), certificate=None):
    """Give the base of a server that answers so, and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.requestline, dict(self.headers)))
            self.send_response(status)
            for name, value in (*headers, ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_CONNECT = do_GET  # noqa: N815 - the standard library's name

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    scheme = "http" if certificate is None else "https"
    try:
        yield f"{scheme}://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Nothing of the machine's own."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_key_goes_to_the_server():
    """Below its prefix, whatever was given of that."""
    with answering(body=b'{"a": 1}') as (base, asked):
        for given in (base, f"{base}/", f"{base}/api/v1", f"{base}/api/v1/"):
            assert Client(given, KEY).ask("GET", "/app", [("limit", 5), ("x", None)]) == {"a": 1}
    assert {line for line, _ in asked} == {"GET /api/v1/app?limit=5 HTTP/1.1"}
    assert {headers["Authorization"] for _, headers in asked} == {f"Bearer {KEY}"}


def test_a_redirect_is_not_followed():
    """The key would go along; where to is told instead."""
    with (
        answering() as (elsewhere, asked),
        answering(302, headers=[("Location", f"{elsewhere}/x")]) as (base, _),
    ):
        with pytest.raises(Refused, match=f"sends on to {elsewhere}/x: give that as --server"):
            Client(base, KEY).ask("GET", "/app")
        assert asked == []


def test_a_proxy_never_reads_the_key(monkeypatch):
    """For http none is used; for https it is asked for a tunnel, and sees nothing else."""
    with answering(502) as (proxy, seen), answering() as (base, asked):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("https_proxy", proxy)
        monkeypatch.setenv("all_proxy", proxy)
        Client(base, KEY).ask("GET", "/app")
        assert (len(asked), seen) == (1, [])
        with pytest.raises(Refused):
            Client("https://hooks.example.com", KEY).ask("GET", "/app")
        [(line, headers)] = seen
        assert line.startswith("CONNECT hooks.example.com:443")
        assert KEY not in json.dumps(headers)


def test_certificates_are_verified(tmp_path):
    """One that nobody vouches for gets no key."""
    pair = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 "
        f"-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 "
        f"-out {pair[0]} -keyout {pair[1]}".split(),
        check=True,
        capture_output=True,
    )
    with answering(certificate=pair) as (base, asked):
        with pytest.raises(Refused, match="SSL_CERT_FILE"):
            Client(base, KEY).ask("GET", "/app")
        assert asked == []


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (404, {"code": "not_found", "detail": "no endpoint 'x'"}, Refused, "no endpoint 'x'"),
        (401, {"detail": "needs a key"}, Refused, "needs a key; the server does not take this key"),
        (503, {"detail": "not now"}, Refused, "not now; try again"),
        (400, {"detail": "query: limit: bad"}, InvalidInput, "query: limit: bad"),
        (
            422,
            {"detail": [{"loc": ["body", "url"], "msg": "blocked_destination", "type": "v"}]},
            InvalidInput,
            "url: blocked_destination .*check-url",
        ),
        (500, "<h1>Oops</h1>", Refused, "answered 500: is Hookline there"),
        (422, {"detail": ["odd", 1]}, InvalidInput, "odd; 1"),
    ],
)
def test_errors_are_told_as_the_server_said_them(status, body, error, said):
    """With a hint what to do."""
    text = body if isinstance(body, str) else json.dumps(body)
    with (
        answering(status, text.encode()) as (base, _),
        pytest.raises(error, match=said),
    ):
        Client(base, KEY).ask("GET", "/app")


def test_what_is_no_hookline_is_told():
    """A page with status 200 is no answer."""
    with answering(body=b"<html>") as (base, _), pytest.raises(Refused, match="is it Hookline"):
        Client(base, KEY).ask("GET", "/app")
    with pytest.raises(Refused, match="is hookline serve running there"):
        Client(base, KEY).ask("GET", "/app")


@pytest.mark.parametrize(
    ("server", "key"),
    [
        ("ftp://x", KEY),
        ("hooks.example.com", KEY),
        ("https://user:pass@hooks.example.com", KEY),
        ("https://hooks.example.com?x=1", KEY),
        ("https://hooks.example.com", None),
        ("https://hooks.example.com", "hk_a\r\nX: y"),
        ("https://hooks.example.com", "hk_ä"),
    ],
)
def test_what_cannot_be_asked_is_refused(server, key):
    """Before anything is sent."""
    with pytest.raises(InvalidSettings):
        Client(server, key)


def test_plain_http_to_elsewhere_is_noticed():
    """On this machine nobody listens in."""
    assert in_the_clear("http://hooks.example.com")
    assert not in_the_clear("https://hooks.example.com")
    assert not in_the_clear("http://127.0.0.1:8080")
    assert not in_the_clear("http://localhost:8080")
