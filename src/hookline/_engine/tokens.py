"""Access tokens: fetched once for all that wait, kept until shortly before their end."""

from dataclasses import dataclass, field

from hookline import __version__
from hookline._domain.address import Policy
from hookline._domain.delivery import Failure, Outcome
from hookline._domain.endpoint import Target
from hookline._domain.identity import Identity, Proxying
from hookline._domain.oauth2 import MAX_ANSWER, OAuth2, Token, read
from hookline._engine.attempt import Flight
from hookline._engine.errand import Errands
from hookline._ports import Request
from hookline._settings import Settings

MOST_KEPT = 10_000


@dataclass(slots=True, eq=False)
class Fetch:
    """A request for a token, and the deliveries that wait for it."""

    target: Target
    waiting: list[Flight] = field(default_factory=list)


@dataclass(slots=True)
class _Kept:
    text: str = field(repr=False)
    until: int  # Unix ms


class Tokens:
    """Belongs to the engine's loop. One token for each revision of an endpoint."""

    def __init__(self, settings: Settings, policy: Policy, proxying: Proxying) -> None:
        """Take where requests may go, and how."""
        self._settings = settings
        self._policy = policy
        self._proxying = proxying
        self._kept: dict[tuple[bytes, int], _Kept] = {}
        self._fetching: dict[tuple[bytes, int], Fetch] = {}

    @property
    def fetching(self) -> bool:
        """Whether an answer is awaited."""
        return bool(self._fetching)

    def take(self, flight: Flight, grant: OAuth2, now: int) -> Request | None:
        """Give a flight its token; return the request to send when one must be fetched first.

        A flight without a token afterwards waits: it comes back from `landed`.
        """
        target = flight.delivery.target
        key = target.key, target.revision
        kept = self._kept.get(key)
        if kept is not None and kept.until > now:
            flight.token = kept.text
            return None
        request = None
        fetch = self._fetching.get(key)
        if fetch is None:
            fetch = Fetch(target)
            request = self._request(fetch, grant)
            self._fetching[key] = fetch
        fetch.waiting.append(flight)
        return request

    def _request(self, fetch: Fetch, grant: OAuth2) -> Request:
        settings, target = self._settings, fetch.target
        timeout = target.timeout if target.timeout is not None else settings.timeout
        lines, body = grant.ask()
        return Request(
            tag=fetch,
            url=grant.token_url,
            policy=self._policy.widened(target.allowed_networks),
            header_lines=[
                *lines,
                "Accept-Encoding: identity",
                f"User-Agent: hookline/{__version__}",
                "Expect:",
            ],
            body=body,
            connect_timeout_ms=int(min(settings.connect_timeout, timeout) * 1000),
            timeout_ms=int(timeout * 1000),
            identity=Identity.of(ca=grant.ca, proxy=self._proxying.of(target.proxy)),
            limit=MAX_ANSWER,
        )

    def landed(self, fetch: Fetch, outcome: Outcome, now: int) -> Outcome | None:
        """Give those that waited their token; return what they all failed with if there is none."""
        key = fetch.target.key, fetch.target.revision
        del self._fetching[key]
        found = read(outcome)
        if not isinstance(found, Token):
            return Outcome(failure=Failure.OAUTH2, detail=found[:200], timings=outcome.timings)
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[key] = _Kept(found.text, now + int(found.seconds * 1000))
        for flight in fetch.waiting:
            flight.token = found.text
        return None

    def refused(self, flight: Flight) -> None:
        """Forget the token a flight had, unless there is another one by now."""
        key = flight.delivery.target.key, flight.delivery.target.revision
        kept = self._kept.get(key)
        if kept is not None and kept.text == flight.token:
            del self._kept[key]


async def equip(flight: Flight, tokens: Tokens, errands: Errands, now: int) -> Outcome | None:
    """Give a single request its access token where it needs one; return what it failed with.

    Raises what a target's damage raises.
    """
    grant = flight.delivery.target.grant()
    request = None if grant is None else tokens.take(flight, grant, now)
    if request is None:
        return None
    return tokens.landed(request.tag, await errands.send(request), now)
