"""What an endpoint may have beyond URL, events, secret and headers."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from hookline._domain import address, check, forms, handshake, retry
from hookline._domain.application import checked_metadata
from hookline._domain.expression import check_filter, check_transform
from hookline._domain.identity import DIRECT, check_pem, parse_proxy
from hookline._domain.oauth2 import OAuth2
from hookline._said import Said
from hookline.errors import InvalidInput

MAX_TIMEOUT = 30.0
MAX_CONCURRENCY = 1000
MIN_RATE, MAX_RATE = 0.001, 100_000
MAX_DESCRIPTION = 1024
MAX_NETWORKS = 100
MAX_CHANNELS = 10
MAX_CHANNEL = 128
_CHANNEL = re.compile(r"[a-zA-Z0-9\-_.:]+")
SENSITIVE = frozenset({"client_key", "oauth2", "proxy"})
"""Options that hold secrets: kept out of every message, log line and `repr`."""


class EndpointOptions(TypedDict, total=False):
    """The options of an endpoint; one that is None counts as not given.

    `retry_schedule` are delays in seconds before each attempt, `timeout` seconds for one attempt (1
    to 30), `concurrency` requests in flight over all workers (1 to 1,000; 20 by default),
    `rate_limit` requests per second over all workers (more than 0, to 100,000; none by default). An
    `ordered` endpoint gets one webhook at a time, oldest first; a failing one holds up those behind
    it, or, with an `ordering_key`, those of the same key only. `allowed_networks` are local
    networks (`10.1.0.0/16`) that this endpoint may be in, beside those of the setting with that
    name: never take them from a customer. `signatures` are the forms its requests are signed in:
    `guide` and `standard` unless told otherwise; `svix`, `github`, `stripe`, `slack`, `shopify`,
    and `ed25519`, which is `standard` without `v1` for ed25519 keys. `handshake` (`none`,
    `challenge` or `cloudevents`) is how this endpoint proves that it expects webhooks, instead of
    the setting's way; the operator's too. An endpoint with `channels` (10 at most) gets only what
    is sent to one of them. `metadata` is yours: 50 texts by name.

    `filter` is a JMESPath expression over the body of an event: the endpoint gets those for which
    it is true. `transform` is one whose result, an object, is sent to it instead. Both are at most
    4,096 characters and need `pip install 'hookline[filters]'`.

    `ca` are certificates (PEM) that the endpoint's must be signed by, instead of the system's
    authorities. `client_certificate` (PEM, the issuers after it) and `client_key` (PEM, not
    encrypted) are shown to it. `oauth2` has `token_url`, `client_id`, `client_secret`, and if need
    be `scope`, `audience`, `auth` (`basic` or `body`), `params` and a `ca` of its own: an access
    token is fetched, and sent with every request. `http2` offers HTTP/2. `proxy` is
    `http://[user:password@]host:port`, `https://…` or `socks5://…`, instead of that of the setting,
    or `direct` for none: never take it from a customer.
    """

    description: str
    retry_schedule: Sequence[float] | None
    timeout: float | None
    concurrency: int | None
    rate_limit: float | None
    ordered: bool
    allowed_networks: Sequence[str] | None
    signatures: Sequence[str] | None
    ca: str | None
    client_certificate: str | None
    client_key: str | None
    oauth2: Mapping[str, Any] | None
    http2: bool
    proxy: str | None
    handshake: str | None
    channels: Sequence[str] | None
    metadata: Mapping[str, str] | None
    filter: str | None
    transform: str | None


KNOWN = tuple(EndpointOptions.__annotations__)


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as an Endpoint has them; raise InvalidInput naming the first bad one."""
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in KNOWN:
            raise InvalidInput(f"{name}: unknown option; known are {', '.join(KNOWN)}")
    check.text("description", given.get("description", ""), 0, MAX_DESCRIPTION)
    check.number("timeout", given.get("timeout"), 1, MAX_TIMEOUT)
    check.number("concurrency", given.get("concurrency"), 1, MAX_CONCURRENCY)
    check.number("rate_limit", given.get("rate_limit"), MIN_RATE, MAX_RATE)
    for name in ("ordered", "http2"):
        if not isinstance(given.get(name, False), bool):
            raise InvalidInput(
                Said("{name}: expected true or false, got {got}", name=name, got=repr(given[name]))
            )
    check_pem(given.get("ca"), given.get("client_certificate"), given.get("client_key"))
    for name, parse in _PARSERS.items():
        if name in given:
            given[name] = parse(given[name])
    return given


def _networks(texts: Any) -> tuple[str, ...]:
    networks = address.parse_networks(texts)
    if len(networks) > MAX_NETWORKS:
        raise InvalidInput(
            Said(
                "allowed_networks: {count}, at most {most}", count=len(networks), most=MAX_NETWORKS
            )
        )
    return tuple(map(str, networks))


def _proxy(text: Any) -> Any:
    if text != DIRECT:
        parse_proxy(text)
    return text


def names(name: str, texts: Any, most: int) -> tuple[str, ...]:
    """Return channels or tags, without repeats; raise InvalidInput for one that is none."""
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise InvalidInput(
            check.cut(Said("{name}: expected a list, got {got}", name=name, got=repr(texts)))
        )
    for text in texts:
        if not isinstance(text, str) or not _CHANNEL.fullmatch(text) or len(text) > MAX_CHANNEL:
            raise InvalidInput(
                check.cut(
                    Said(
                        "{name}: expected 1 to {most} of A-Z a-z 0-9 - _ . :, got {got}",
                        name=name,
                        most=MAX_CHANNEL,
                        got=repr(text),
                    )
                )
            )
    if len(texts) > most:
        raise InvalidInput(
            Said("{name}: {count}, at most {most}", name=name, count=len(texts), most=most)
        )
    return tuple(dict.fromkeys(texts))


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "retry_schedule": retry.check,
    "allowed_networks": _networks,
    "signatures": forms.parse,
    "handshake": lambda value: handshake.check(value).value,
    "oauth2": lambda grant: OAuth2.of(grant).stored(),
    "proxy": _proxy,
    "channels": lambda texts: names("channels", texts, MAX_CHANNELS),
    "metadata": checked_metadata,
    "filter": check_filter,
    "transform": check_transform,
}
