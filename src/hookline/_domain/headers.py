"""The policy for an endpoint's own headers: what may be sent beside ours."""

import re
from collections.abc import Mapping

from hookline._said import Said
from hookline.errors import InvalidHeader

_SECRET = re.compile(r"auth|token|secret|key|password|cookie|session", re.IGNORECASE)

MAX_VALUE = 4096
MAX_TOTAL = 4096
"""Bytes of one value, and of all names and values of an endpoint together."""

# RFC 9110 §5.6.2 (token) and §5.5 (field values: visible ASCII, space and tab).
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")

# fmt: off
_NAMES = frozenset({
    "accept-encoding", "age", "cache-control", "connection", "content-encoding",
    "content-language", "content-length", "content-location", "content-type", "cookie", "expect",
    "expires", "forwarded", "host", "keep-alive", "metadata", "metadata-flavor", "pragma", "te",
    "traceparent", "tracestate", "trailer", "trailers", "transfer-encoding", "upgrade",
    "user-agent", "warning",
})
# fmt: on
_PREFIXES = (
    "proxy-",
    "x-forwarded-",
    "webhook-",
    "svix-",
    "x-webhook-",
    "x-aws-ec2-metadata-",
    "x-amz-",
    "x-amzn-",
    "x-google",
    "x-goog-",
    "x-gfe",
    "x-azure-",
    "x-fd-",
)


def check(headers: Mapping[str, str], signed: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the headers as a plain dict, or raise InvalidHeader naming the first bad one.

    Values are never part of the message: they are credentials more often than not. `signed` are
    the headers of the endpoint's signatures in lower case, each with its form.
    """
    seen: dict[str, str] = {}
    total = 0
    for name, value in headers.items():
        _check_name(name)
        _check_value(name, value)
        lower = name.lower()
        if lower in seen:
            raise InvalidHeader(
                Said("header {name!r}: given twice (as {other!r})", name=name, other=seen[lower])
            )
        if signed and lower in signed:
            raise InvalidHeader(
                Said(
                    "header {name!r}: carries this endpoint's signature (signatures has {form!r}) "
                    "and cannot be set beside it",
                    name=name,
                    form=signed[lower],
                )
            )
        seen[lower] = name
        total += len(name) + len(value)
    if total > MAX_TOTAL:
        raise InvalidHeader(
            Said(
                "headers: {total} bytes in all, at most {most} are accepted",
                total=total,
                most=MAX_TOTAL,
            )
        )
    return dict(headers)


def looks_secret(name: str) -> bool:
    """Return whether a header's value looks like one not to be shown, by its name."""
    return bool(_SECRET.search(name))


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise InvalidHeader(
            Said(
                "header {name!r}: a name is letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 token)",
                name=name,
            )
        )
    lower = name.lower()
    if lower in _NAMES or lower.startswith(_PREFIXES):
        raise InvalidHeader(
            Said("header {name!r}: is reserved and cannot be set by an endpoint", name=name)
        )


def _check_value(name: str, value: str) -> None:
    if not isinstance(value, str):
        raise InvalidHeader(
            Said("header {name!r}: expected text, got {got}", name=name, got=type(value).__name__)
        )
    for character, label in (("\r", "CR"), ("\n", "LF"), ("\0", "NUL")):
        if character in value:
            raise InvalidHeader(
                Said(
                    "header {name!r}: the value contains a line break or NUL ({label})",
                    name=name,
                    label=label,
                )
            )
    if not _VALUE.fullmatch(value):
        raise InvalidHeader(
            Said("header {name!r}: the value must be visible ASCII, spaces and tabs", name=name)
        )
    if value != value.strip():
        raise InvalidHeader(
            Said("header {name!r}: the value has leading or trailing white space", name=name)
        )
    if len(value) > MAX_VALUE:
        raise InvalidHeader(
            Said(
                "header {name!r}: {count} bytes, at most {most}",
                name=name,
                count=len(value),
                most=MAX_VALUE,
            )
        )
