"""One request at a time, on a handle of libcurl that is used again and again."""

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import pycurl

from hookline._domain.delivery import Failure, Outcome, Timings
from hookline._domain.identity import Identity
from hookline._domain.url import Url
from hookline._ports import Request
from hookline._sending.curl import (
    NO_WAY_IN,
    assume,
    judge_error,
    judge_status,
    microseconds,
    parsed,
    trust,
)
from hookline._sending.guard import Way

MAX_HEADERS = 64
MAX_HEADER_BYTES = 8192
"""What is kept of an answer's headers; libcurl itself stops at 300 kB of them."""


class _Lent(socket.socket):
    """A socket that is closed as soon as libcurl has its own descriptor of it."""

    def __del__(self) -> None:
        self.close()


@dataclass(slots=True)
class Flight:
    """A request on its way, and how far it has come."""

    request: Request
    began: float  # monotonic seconds
    address: int = 0
    spent_ms: int = 0
    lookup_us: int = 0
    way: Way | None = None  # found while the proxy is looked for
    through: tuple[str, ...] = ()  # the proxy's addresses


class Handle:
    """One reusable easy handle and what arrives on it. Serves one identity for all its life."""

    __slots__ = (
        "_body",
        "_dialled",
        "_header_bytes",
        "_headers",
        "_limit",
        "_method",
        "_proxied",
        "_refused",
        "_room",
        "_through",
        "_timeouts",
        "_whole",
        "curl",
        "cut",
        "flight",
        "way",
    )

    def __init__(self, limit: int, identity: Identity | None = None) -> None:
        """`limit`: bytes of an answer's body that are read."""
        self._limit = limit
        self._proxied = identity.proxy if identity is not None else None
        self._through: tuple[str, ...] = ()
        self.curl = curl = pycurl.Curl()
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        # Neither the environment nor a .netrc has a say in where a webhook goes.
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.NOPROXY, "*")
        curl.setopt(pycurl.NETRC, pycurl.NETRC_IGNORED)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.WRITEFUNCTION, self._on_body)
        curl.setopt(pycurl.HEADERFUNCTION, self._on_header)
        curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        trust(curl)
        if identity is not None:
            assume(curl, identity)
        self.way = Way(Url("https", "", 0, ""), ("",))
        self._dialled = -1
        self._timeouts = (0, 0)
        self._method = "POST"
        self._clear()

    def _clear(self) -> None:
        self.cut = False
        self._refused = ""
        self._body: list[bytes] = []
        self._room = self._limit
        self._headers: list[bytes] = []
        self._header_bytes = 0
        self._whole = False

    def load(self, flight: Flight, way: Way) -> None:
        """Set the handle up for one request, to be sent to one checked address."""
        self._clear()
        self.flight = flight
        curl, request = self.curl, flight.request
        # What the last request had already is left alone: most often it went to the same endpoint.
        if way is not self.way or flight.address != self._dialled:
            self._dialled = -1
            curl.setopt(pycurl.URL, way.text)
            # Also the key of libcurl's pool: a kept connection serves this name and address only.
            curl.setopt(pycurl.CONNECT_TO, [way.dial(flight.address)])
            self.way, self._dialled = way, flight.address
        if request.limit is not None:
            self._room = request.limit
        if flight.through != self._through:
            self._proxy(flight.through)
        timeouts = request.connect_timeout_ms, max(1, request.timeout_ms - flight.spent_ms)
        if timeouts != self._timeouts:
            curl.setopt(pycurl.CONNECTTIMEOUT_MS, timeouts[0])
            curl.setopt(pycurl.TIMEOUT_MS, timeouts[1])
            self._timeouts = timeouts
        if request.method != self._method:  # a body as with POST, if only an empty one
            curl.setopt(pycurl.CUSTOMREQUEST, request.method)
            self._method = request.method
        curl.setopt(pycurl.HTTPHEADER, request.header_lines)
        curl.setopt(pycurl.POSTFIELDS, request.body)

    def _proxy(self, addresses: tuple[str, ...]) -> None:
        """Dial the proxy at these addresses, under the name it has for TLS."""
        proxy, self._through = self._proxied, addresses
        if proxy is not None and addresses:
            listed = ",".join(f"[{a}]" if ":" in a else a for a in addresses)
            self.curl.setopt(pycurl.RESOLVE, [f"{proxy.host}:{proxy.port}:{listed}"])

    def _open_socket(self, _purpose: int, address: Any) -> socket.socket | int:
        """Open a socket for the checked address, and for no other, whatever libcurl thinks.

        Behind a proxy that is one of the proxy's own.
        """
        family, kind, protocol, (host, *_) = address
        proxied = self._proxied is not None
        checked = self._through if proxied else (self.way.addresses[self._dialled],)
        if ip_address(host) not in {ip_address(each.partition("%")[0]) for each in checked}:
            self._refused = f"{host} is not the address that was checked"
            return pycurl.SOCKET_BAD  # type: ignore[no-any-return]
        return _Lent(family, kind, protocol)

    def _on_body(self, data: bytes) -> int | None:
        if len(data) > self._room:
            # Returning less than was given ends the transfer: the rest is never read.
            self.cut = True
            self._body.append(data[: self._room])
            self._room = 0
            return 0
        self._body.append(data)
        self._room -= len(data)
        return None

    def _on_header(self, line: bytes) -> None:
        if line in {b"\r\n", b"\n"}:
            self._whole = True
            return
        if line.startswith(b"HTTP/"):  # a new head, after a 100 Continue for example
            self._whole = False
            self._headers.clear()
            self._header_bytes = 0
            return
        self._header_bytes += len(line)
        if len(self._headers) < MAX_HEADERS and self._header_bytes <= MAX_HEADER_BYTES:
            self._headers.append(line)

    def _blamed(self, failure: Failure, error: int, message: str) -> Failure:
        """Return whose failure it was: the proxy's, before it opened the way to the receiver."""
        info = self.curl.getinfo
        if info(pycurl.NUM_CONNECTS) == 0 and error not in NO_WAY_IN:
            return failure  # on a kept connection, through the proxy long ago
        if self._proxied is not None and self._proxied.socks:
            if error in NO_WAY_IN:
                return Failure.PROXY
            # With the proxy, or in the TLS handshake behind it: libcurl does not tell.
            early = failure is Failure.TIMEOUT and info(pycurl.REQUEST_SIZE) == 0
            return Failure.CONNECT_TIMEOUT if early else failure
        opened = int(info(pycurl.HTTP_CONNECTCODE)) // 100 == 2  # noqa: PLR2004
        return failure if opened and not message.startswith("CONNECT ") else Failure.PROXY

    def outcome(self, error: int = 0, message: str = "") -> Outcome:
        """Return what came back."""
        info, flight = self.curl.getinfo, self.flight
        status: int | None = info(pycurl.RESPONSE_CODE) or None
        timings = Timings(
            dns=flight.lookup_us,
            connect=microseconds(info(pycurl.CONNECT_TIME)),
            tls=microseconds(info(pycurl.APPCONNECT_TIME)),
            first_byte=microseconds(info(pycurl.STARTTRANSFER_TIME)),
            total=microseconds(info(pycurl.TOTAL_TIME)),
        )
        if flight.spent_ms:  # before libcurl had it
            timings = timings.later(flight.spent_ms * 1000)
        failure, detail = judge_status(status), ""
        if self._refused:
            failure, detail = Failure.BLOCKED, self._refused
        elif error and not self.cut:
            failure, detail = judge_error(error, message, connected=timings.connect > 0)
            if self._proxied is not None:
                failure = self._blamed(failure, error, message)
            if failure is Failure.PROXY:
                # Whatever the proxy said, it is not the receiver that said it.
                return Outcome(
                    failure=failure,
                    detail=detail or "it opened no way to the receiver within the timeout",
                    timings=timings._replace(tls=0, first_byte=0),
                    peer=info(pycurl.PRIMARY_IP) or "",
                )
        elif not self._whole:  # libcurl takes a head without its end for an answer
            failure, detail = Failure.RESET, "the answer ended inside its headers"
        return Outcome(
            status=status,
            failure=failure,
            detail=detail,
            headers=parsed(b"".join(self._headers)),
            body=b"".join(self._body),
            timings=timings,
            peer=info(pycurl.PRIMARY_IP) or "",
        )
