"""What an endpoint may have beyond URL, events, secret and headers."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from hookline._domain import address, check, handshake, retry
from hookline.errors import InvalidInput

MAX_TIMEOUT = 30.0
MAX_CONCURRENCY = 1000
MIN_RATE, MAX_RATE = 0.001, 100_000
MAX_DESCRIPTION = 1024
MAX_NETWORKS = 100


class EndpointOptions(TypedDict, total=False):
    """The options of an endpoint; one that is None counts as not given.

    `retry_schedule` are delays in seconds before each attempt, `timeout` seconds for one attempt (1
    to 30), `concurrency` requests in flight over all workers (1 to 1,000; 20 by default),
    `rate_limit` requests per second over all workers (more than 0, to 100,000; none by default). An
    `ordered` endpoint gets one webhook at a time, oldest first; a failing one holds up those behind
    it, or, with an `ordering_key`, those of the same key only. `allowed_networks` are local
    networks (`10.1.0.0/16`) that this endpoint may be in, beside those of the setting with that
    name: never take them from a customer. `handshake` (`none`, `challenge` or `cloudevents`) is how
    this endpoint proves that it expects webhooks, instead of the setting's way; the operator's too.
    """

    description: str
    retry_schedule: Sequence[float] | None
    timeout: float | None
    concurrency: int | None
    rate_limit: float | None
    ordered: bool
    allowed_networks: Sequence[str] | None
    handshake: str | None


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
    if not isinstance(given.get("ordered", False), bool):
        raise InvalidInput(f"ordered: expected true or false, got {given['ordered']!r}")
    if "retry_schedule" in given:
        given["retry_schedule"] = retry.check(given["retry_schedule"])
    if "allowed_networks" in given:
        networks = address.parse_networks(given["allowed_networks"])
        if len(networks) > MAX_NETWORKS:
            raise InvalidInput(f"allowed_networks: {len(networks)}, at most {MAX_NETWORKS}")
        given["allowed_networks"] = tuple(map(str, networks))
    if "handshake" in given:
        given["handshake"] = handshake.check(given["handshake"]).value
    return given
