"""The one URL parser. What it returns is what the request is built from; there is no second one.

Strict on purpose: an endpoint's URL that two parsers could read differently is refused.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address

from hookline._said import Said
from hookline.errors import InvalidUrl

MAX_LENGTH = 2048
MAX_PORT = 65535
MAX_NAME = 253
MAX_OCTET = 255
DEFAULT_PORTS = {"http": 80, "https": 443}

_SHAPE = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_TARGET = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORT = re.compile(r"[0-9]{1,5}")
_IPV4 = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")


@dataclass(frozen=True, slots=True)
class Url:
    """The parts of an endpoint's URL: lower-case scheme and host, port, and the request target."""

    scheme: str
    host: str
    port: int
    target: str

    def __str__(self) -> str:
        port = "" if self.port == DEFAULT_PORTS.get(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.target}"


def parse(text: str) -> Url:
    """Return the parts of a URL, or raise InvalidUrl with the reason.

    Normalised: scheme and host in lower case, international names as IDNA, the default port left
    out, an empty path as `/`. Path and query are kept as written.
    """
    if not isinstance(text, str):
        raise InvalidUrl(Said("url: expected text, got {got}", got=type(text).__name__))
    if not text:
        raise InvalidUrl(Said("url: empty; expected something like https://example.com/webhook"))
    if len(text) > MAX_LENGTH:
        raise InvalidUrl(
            Said(
                "url: {count} characters, at most {most} are accepted",
                count=len(text),
                most=MAX_LENGTH,
            )
        )
    _refuse_characters(text)
    shape = _SHAPE.fullmatch(text)
    if shape is None or not shape["authority"]:
        raise InvalidUrl(Said("url: {text!r} is not of the form https://host/path", text=text))
    scheme = shape["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise InvalidUrl(
            Said("url: scheme {scheme!r} is not supported; use https (or http)", scheme=scheme)
        )
    if "#" in shape["rest"]:
        raise InvalidUrl(Said("url: a fragment ('#…') is never sent; remove it"))
    host, port = _authority(shape["authority"], scheme)
    url = Url(scheme, host, port, _target(shape["rest"]))
    if len(str(url)) > MAX_LENGTH:  # an international name is longer in its ASCII form
        raise InvalidUrl(
            Said(
                "url: {count} characters, at most {most} are accepted",
                count=len(str(url)),
                most=MAX_LENGTH,
            )
        )
    return url


def _refuse_characters(text: str) -> None:
    if text != text.strip():
        raise InvalidUrl(Said("url: has leading or trailing white space"))
    for character in text:
        if character <= " " or character == "\x7f":
            raise InvalidUrl(
                Said(
                    "url: contains the control or space character {character!r}",
                    character=character,
                )
            )
        if character == "\\":
            raise InvalidUrl(Said("url: contains a backslash, which URL parsers read differently"))


def _authority(authority: str, scheme: str) -> tuple[str, int]:
    if "@" in authority:
        raise InvalidUrl(
            Said("url: user and password are not accepted; send an Authorization header")
        )
    if "%" in authority:
        raise InvalidUrl(Said("url: percent-encoding in the host is not accepted"))
    if authority.startswith("["):
        host, bracket, after = authority.partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise InvalidUrl(Said("url: malformed IPv6 host in {authority!r}", authority=authority))
        return _ipv6(host + bracket), _port(after[1:] if after else None, scheme)
    host, colon, after = authority.partition(":")
    return _name(host), _port(after if colon else None, scheme)


def _port(text: str | None, scheme: str) -> int:
    if text is None:
        return DEFAULT_PORTS[scheme]
    if not (
        text.isascii()
        and text.isdigit()
        and len(text) <= len(str(MAX_PORT))
        and 0 < int(text) <= MAX_PORT
    ):
        raise InvalidUrl(
            Said("url: port {text!r} is not a number from 1 to {most}", text=text, most=MAX_PORT)
        )
    return int(text)


def _ipv6(host: str) -> str:
    try:
        return f"[{IPv6Address(host[1:-1])}]"
    except AddressValueError as error:
        raise InvalidUrl(
            Said("url: {host!r} is not an IPv6 address: {error}", host=host, error=str(error))
        ) from None


def _name(host: str) -> str:
    """Return the host in lower-case ASCII. IDNA comes first, the numeric test second."""
    ascii_host = host.lower()
    if not host.isascii():
        try:
            ascii_host = host.encode("idna").decode().lower()
        except UnicodeError as error:
            raise InvalidUrl(
                Said("url: host {host!r} is not a valid international name", host=host)
            ) from error
    name = ascii_host.removesuffix(".")
    labels = name.split(".")
    if _looks_numeric(labels[-1]):
        dotted = _IPV4.fullmatch(name) and all(_octet(label) for label in labels)
        if not dotted or not host.isascii():  # full-width digits are a disguise
            raise InvalidUrl(
                Said(
                    "url: host {host!r} is a number in an unusual spelling; write IPv4 as "
                    "203.0.113.7",
                    host=host,
                )
            )
        return name
    if len(name) > MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidUrl(Said("url: host {host!r} is not a valid name", host=host))
    return name


def _looks_numeric(label: str) -> bool:
    return label.isdigit() or bool(re.fullmatch(r"0x[0-9a-f]*", label))


def _octet(label: str) -> bool:
    return str(int(label)) == label and int(label) <= MAX_OCTET


def _target(rest: str) -> str:
    if not rest.isascii():
        raise InvalidUrl(
            Said(
                "url: path and query must be ASCII; percent-encode other characters "
                "(urllib.parse.quote does)"
            )
        )
    if not _TARGET.fullmatch(rest):
        bad = next(c for c in rest if not _TARGET.fullmatch(c))
        raise InvalidUrl(Said("url: character {bad!r} must be percent-encoded", bad=bad))
    if _BAD_ESCAPE.search(rest):
        raise InvalidUrl(Said("url: '%' must be followed by two hexadecimal digits"))
    return rest if rest.startswith("/") else "/" + rest
