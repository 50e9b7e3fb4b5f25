"""How an endpoint is reached: whom it must prove to be, who we prove to be, and by which way."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from hookline._domain import check
from hookline._said import Said
from hookline.errors import InvalidInput

MAX_PEM = 65_536
"""Characters of certificates, and of a key."""
MAX_PROXY = 2048
MAX_PORT = 65_535
MAX_SOCKS = 255
"""Bytes of a user or password (RFC 1929 §2)."""
DIRECT = "direct"
"""The `proxy` of an endpoint that uses none, whatever the setting says."""

_PROXY = re.compile(
    r"(?P<scheme>[A-Za-z0-9]+)://"
    r"(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^:@/?#]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})/?"
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_FORM = Said("expected http://, https:// or socks5://[user:password@]host:port")
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"
_KEY = re.compile(r"-----BEGIN (?:RSA |EC )?PRIVATE KEY-----")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A forward proxy, and whether it resolves names. As text: without user and password."""

    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    resolves: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def socks(self) -> bool:
        """Whether it speaks SOCKS5; HTTP CONNECT otherwise."""
        return self.scheme == "socks5"


def parse_proxy(text: str, *, resolves: bool = False) -> Proxy:
    """Return a proxy, or raise InvalidInput. What came is never part of the message."""
    check.text("proxy", text, 1, MAX_PROXY)
    shape = _PROXY.fullmatch(text)
    if shape is None:
        raise InvalidInput(
            Said("proxy: is not a proxy's URL; {form}, special characters as %40", form=_FORM)
        )
    scheme, port = shape["scheme"].lower(), int(shape["port"])
    if scheme == "socks5h":
        raise InvalidInput(
            Said("proxy: write socks5://; who resolves names is said by the setting proxy_resolves")
        )
    if scheme not in {"http", "https", "socks5"}:
        raise InvalidInput(
            Said("proxy: scheme {scheme!r} is not supported; {form}", scheme=scheme, form=_FORM)
        )
    if not 0 < port <= MAX_PORT:
        raise InvalidInput(
            Said("proxy: port {port} is not a number from 1 to {most}", port=port, most=MAX_PORT)
        )
    user, password = _unquoted(shape["user"] or ""), _unquoted(shape["password"] or "")
    if ":" in user or (password and not user):
        raise InvalidInput(Said("proxy: the user is missing, or contains a colon"))
    if scheme == "socks5" and max(len(user.encode()), len(password.encode())) > MAX_SOCKS:
        raise InvalidInput(
            Said("proxy: user or password is longer than SOCKS5 allows, {most}", most=MAX_SOCKS)
        )
    return Proxy(scheme, _host(shape["host"].lower()), port, user, password, resolves)


def _host(text: str) -> str:
    try:
        if text.startswith("["):
            return str(IPv6Address(text[1:-1]))
        if text.rpartition(".")[2].isdigit():
            return str(IPv4Address(text))
    except AddressValueError as error:
        raise InvalidInput(
            Said("proxy: {text!r} is not an address: {error}", text=text, error=str(error))
        ) from None
    if not all(_LABEL.fullmatch(label) for label in text.split(".")):
        raise InvalidInput(Said("proxy: {text!r} is not a host's name", text=text))
    return text


def _unquoted(text: str) -> str:
    try:
        decoded = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise InvalidInput(Said("proxy: user or password is not UTF-8")) from None
    if any(c < " " or c == "\x7f" for c in decoded):
        raise InvalidInput(Said("proxy: user or password contains a control character"))
    return decoded


class Proxying(NamedTuple):
    """The deployment's proxy, if it has one, and whether proxies resolve names."""

    default: Proxy | None = None
    resolves: bool = False

    def of(self, own: str | None) -> Proxy | None:
        """Return the proxy of an endpoint: its own, none at all, or the deployment's."""
        if own is None:
            return self.default
        return None if own == DIRECT else parse_proxy(own, resolves=self.resolves)


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """What a connection must not share with another that has it otherwise.

    `ca` replaces the system's certificate authorities. Equal values give the same object.
    """

    ca: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    proxy: Proxy | None = None
    http2: bool = False

    @classmethod
    def of(
        cls,
        *,
        ca: str | None = None,
        certificate: str | None = None,
        key: str | None = None,
        proxy: Proxy | None = None,
        http2: bool = False,
    ) -> "Identity | None":
        """Return the identity; None for the plain one, which most endpoints have."""
        if ca is None and certificate is None and proxy is None and not http2:
            return None
        return _identity(ca, certificate, key, proxy, http2)


@lru_cache(maxsize=1024)
def _identity(
    ca: str | None, certificate: str | None, key: str | None, proxy: Proxy | None, http2: bool
) -> Identity:
    return Identity(ca, certificate, key, proxy, http2)


def check_pem(ca: str | None, certificate: str | None, key: str | None) -> None:
    """Refuse what is not PEM, as far as its look tells; no message has any of a key."""
    for name, pem in (("ca", ca), ("client_certificate", certificate)):
        if pem is not None:
            _check_text(name, pem)
            if _CERTIFICATE not in pem:
                raise InvalidInput(
                    Said(
                        "{name}: no {certificate}; expected the text of a PEM file",
                        name=name,
                        certificate=_CERTIFICATE,
                    )
                )
    if key is not None:
        _check_text("client_key", key)
        if "ENCRYPTED" in key:
            raise InvalidInput(
                Said(
                    "client_key: is encrypted, and nobody is there to type its password; decrypt "
                    "it: openssl pkey -in key.pem"
                )
            )
        if _KEY.search(key) is None:
            raise InvalidInput(
                Said("client_key: no -----BEGIN PRIVATE KEY-----; expected the text of a PEM file")
            )
    if (certificate is None) != (key is None):
        missing = "client_key" if key is None else "client_certificate"
        raise InvalidInput(
            Said("{missing}: is missing; a certificate and its key come together", missing=missing)
        )


def _check_text(name: str, pem: object) -> None:
    check.text(name, pem, 1, MAX_PEM)
    if not str(pem).isascii():
        raise InvalidInput(Said("{name}: is not ASCII; expected the text of a PEM file", name=name))
