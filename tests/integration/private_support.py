"""What stands in private networks: authorities, receivers with TLS, proxies, a token endpoint.

Each is real, on a socket of 127.0.0.1, and remembers what it was asked.
"""

import base64
import json
import socket
import ssl
import threading
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from itertools import count
from urllib.parse import parse_qs

import h2.config
import h2.connection
import h2.events
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAME = "hooks.example.com"
HERE = "127.0.0.1"


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """A certificate authority; `certificate` is its PEM."""

    def __init__(self, name="Private CA"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        self.certificate = self._signed(self.name, self.key, ca=True)

    def issue(self, subject, *names, ends=timedelta(days=365)):
        """Return certificate and key (PEM) for a subject; `names` are those a server answers to."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = self._signed(_name(subject), key, names=names, ends=ends)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return pem, private.decode()

    def _signed(self, subject, key, *, ca=False, names=(), ends=timedelta(days=3650)):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, now + ends) - timedelta(days=1))
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_alternative(each) for each in names]), critical=False
            )
        if not ca:
            both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
        signed = builder.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()


def _alternative(name):
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@lru_cache
def authority(name="Private CA"):
    """An authority that all tests of this process share."""
    return Authority(name)


def server_context(folder, certificate, key, clients=None, protocols=("http/1.1",)):
    """A server's TLS; `clients` is the authority its clients' certificates must be signed by."""
    chain = folder / f"{id(certificate)}.pem"
    chain.write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    context.set_alpn_protocols(list(protocols))
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients)
    return context


class Server:
    """A listening socket; each connection is handed to `serve(connection, number)` in a thread."""

    def __init__(self, tls=None, host=HERE, port=0):
        self.tls = tls
        self.enough = threading.Event()
        self.seen = []
        self.open = []
        self.numbers = count(1)
        self.socket = socket.create_server((host, port), backlog=128)
        self.port = self.socket.getsockname()[1]
        self.threads = []
        self._run(self._accept)

    def _run(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()
        return thread

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.open.append(connection)
                self._run(self._serve, connection, next(self.numbers))

    def _serve(self, connection, number):
        with connection, suppress(OSError, EOFError):
            if self.tls is not None:
                connection = self.tls.wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
                self.open.append(connection)
                try:
                    connection.do_handshake()
                except ssl.SSLError:
                    self._leave(connection)
                    return
            with connection:
                self.serve(connection, number)

    @staticmethod
    def _leave(connection):
        """Hang up so that the alert arrives: with unread bytes it would be a reset."""
        with socket.socket(fileno=connection.detach()) as bare:
            bare.shutdown(socket.SHUT_WR)
            while bare.recv(65536):
                pass

    def close(self):
        self.enough.set()
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in self.open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(5)

    @property
    def connections(self):
        """How many connections there were."""
        return next(self.numbers) - 1


def head_of(connection, most=65536):
    """Read a head; return its first line, its headers and what came after it."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece or len(data) > most:
            raise EOFError
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
    return first, headers, rest


def common_name(connection):
    """Who the client proved to be, None for nobody."""
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    if not certificate:
        return None
    return next(v for part in certificate["subject"] for k, v in part if k == "commonName")


class Receiver(Server):
    """Answers every request with `answer`; `seen` has (connection, client, headers, body)."""

    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    def serve(self, connection, number):
        while True:
            first, headers, body = head_of(connection)
            while len(body) < int(headers.get("content-length", 0)):
                body += connection.recv(65536)
            self.first = first
            self.seen.append((number, common_name(connection), headers, body))
            connection.sendall(self.answer)

    def url(self, host=NAME):
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{host}:{self.port}/hook"

    @property
    def clients(self):
        return [client for _, client, _, _ in self.seen]


class Proxy(Server):
    """A forward proxy: who `user:password` is given asks for it. `names` is its resolver."""

    scheme = "http"

    def __init__(self, *, user=None, names=None, answer=None, **options):
        self.user = user
        self.names = names or {}
        self.answer = answer
        self.asked = []
        super().__init__(**options)

    @property
    def url(self):
        user = f"{self.user}@" if self.user else ""
        return f"{self.scheme}://{user}{HERE}:{self.port}"

    def serve(self, connection, number):
        first, headers, _ = head_of(connection)
        method, target, _ = first.split(" ")
        self.asked.append((method, target))
        self.seen.append(headers)
        if self.answer is not None:
            connection.sendall(self.answer)
            return
        if self.user is not None:
            expected = "Basic " + base64.b64encode(self.user.encode()).decode()
            if headers.get("proxy-authorization") != expected:
                connection.sendall(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b'Proxy-Authenticate: Basic realm="x"\r\nRetry-After: 9999\r\n'
                    b"webhook-delivery: disable\r\nContent-Length: 0\r\n\r\n"
                )
                return
        host, _, port = target.rpartition(":")
        far = self.dial(host.strip("[]"), int(port))
        if far is None:
            connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        connection.sendall(b"HTTP/1.1 200 Connection established\r\nwebhook-delivery: no\r\n\r\n")
        self.relay(connection, far)

    def dial(self, host, port):
        with suppress(OSError):
            far = socket.create_connection((self.names.get(host, host), port), 5)
            self.open.append(far)
            return far
        return None

    def relay(self, near, far):
        def pump(source, sink):
            with suppress(OSError):
                while data := source.recv(65536):
                    sink.sendall(data)
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

        with far:
            other = self._run(pump, far, near)
            pump(near, far)
            other.join(5)


class Socks(Proxy):
    """A SOCKS5 proxy (RFC 1928, 1929); `asked` has the kind of address too."""

    scheme = "socks5"
    FAILED = 5

    def serve(self, connection, number):
        reader = connection.makefile("rb")

        def read(n):
            data = reader.read(n)
            if len(data) < n:
                raise EOFError
            return data

        _, many = read(2)
        methods = read(many)
        if self.user is not None:
            if 2 not in methods:
                connection.sendall(b"\x05\xff")
                return
            connection.sendall(b"\x05\x02")
            user = read(read(2)[1])
            password = read(read(1)[0])
            good = user + b":" + password == self.user.encode()
            connection.sendall(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                return
        else:
            connection.sendall(b"\x05\x00")
        kind = read(4)[3]
        if kind == 3:
            host = read(read(1)[0]).decode()
        else:
            host = str(ip_address(read(4 if kind == 1 else 16)))
        port = int.from_bytes(read(2))
        self.asked.append(("name" if kind == 3 else "address", f"{host}:{port}"))
        far = self.dial(host, port)
        if far is None:
            connection.sendall(bytes([5, self.FAILED, 0, 1]) + bytes(6))
            return
        connection.sendall(bytes([5, 0, 0, 1]) + bytes(6))
        self.relay(connection, far)


class TokenEndpoint(Server):
    """Hands out `token-1`, `token-2`, …, or the scripted `answers`; `forms` is what was asked."""

    def __init__(self, *, lifetime=3600, **options):
        self.lifetime = lifetime
        self.answers = deque()
        self.forms = []
        self.hold = threading.Event()
        self.hold.set()
        self.arrived = threading.Semaphore(0)
        super().__init__(**options)

    def url(self, host=HERE):
        return f"{'http' if self.tls is None else 'https'}://{host}:{self.port}/token"

    def serve(self, connection, number):
        while True:
            _, headers, body = head_of(connection)
            while len(body) < int(headers.get("content-length", 0)):
                body += connection.recv(65536)
            form = {k: v[0] for k, v in parse_qs(body.decode(), keep_blank_values=True).items()}
            self.forms.append(form)
            self.seen.append(headers)
            self.arrived.release()
            self.hold.wait(10)
            answer = self.answers.popleft() if self.answers else self.token(len(self.forms))
            if callable(answer):
                answer(self, connection)
                return
            connection.sendall(answer)

    def token(self, number, **changes):
        fields = {
            "access_token": f"token-{number}",
            "token_type": "bearer",
            "expires_in": self.lifetime,
        }
        return answer(200, json.dumps({**fields, **changes}).encode())


def answer(status, body, *headers):
    """An HTTP answer as bytes."""
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Http2Receiver(Server):
    """An HTTP/2 receiver; `streams` has (connection, stream, headers, body).

    With `gather`, answers are held until so many requests are open on one connection.
    """

    gather = 1
    body = b"ok"

    def __init__(self, **options):
        self.streams = []
        self.most_open = 0
        super().__init__(**options)

    def serve(self, connection, number):
        protocol = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        if connection.selected_alpn_protocol() != "h2":
            return
        protocol.initiate_connection()
        connection.sendall(protocol.data_to_send())
        heads, bodies, ready = {}, {}, []
        while data := connection.recv(65536):
            for event in protocol.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    heads[event.stream_id] = dict(event.headers)
                    bodies[event.stream_id] = b""
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                    protocol.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
                elif isinstance(event, h2.events.StreamEnded):
                    stream = event.stream_id
                    self.streams.append((number, stream, heads[stream], bodies[stream]))
                    ready.append(stream)
                    self.most_open = max(self.most_open, len(ready))
            if len(ready) >= self.gather:
                for stream in ready:
                    protocol.send_headers(stream, [(":status", "200"), ("x-hello", "you")])
                    protocol.send_data(stream, self.body, end_stream=True)
                ready.clear()
            connection.sendall(protocol.data_to_send())

    def url(self, host=NAME):
        return f"https://{host}:{self.port}/hook"
