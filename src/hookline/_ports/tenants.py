"""Applications, their endpoints and event types, and the keys and requests of their callers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from hookline._domain.api_key import ApiKey
from hookline._domain.application import Application
from hookline._domain.catalogue.described import Declared
from hookline._domain.endpoint import Endpoint
from hookline._domain.event_type import EventType
from hookline._domain.history import EndpointHealth
from hookline._domain.page import Page, Window


class Applications(Protocol):
    """Applications. A deleted one is gone at once; what it left is removed in the background."""

    async def create(
        self,
        values: Mapping[str, Any],
        now: int,
        *,
        get_if_exists: bool = False,
        key: bytes | None = None,
    ) -> tuple[Application, bool]:
        """Store an application; return it and whether it is new. AlreadyExists for its uid.

        With a `key` that is there already an earlier try is returned, as new.
        """
        ...

    async def key(self, name: str) -> bytes | None:
        """Return the key of the application with that id or uid."""
        ...

    async def get(self, key: bytes) -> Application | None:
        """Return an application."""
        ...

    async def page(self, window: Window) -> Page[Application]:
        """Return applications in the order they were made."""
        ...

    async def update(self, key: bytes, values: Mapping[str, Any], now: int) -> Application | None:
        """Change the fields given; AlreadyExists when the uid is taken."""
        ...

    async def delete(self, key: bytes, now: int) -> bool:
        """Delete an application with its endpoints; False when it is gone already."""
        ...


class EventTypes(Protocol):
    """Event types, by name."""

    async def create(self, values: Mapping[str, Any], now: int) -> EventType:
        """Store an event type; AlreadyExists when there is one with that name."""
        ...

    async def declare(self, declared: Sequence[Declared], now: int) -> dict[str, list[str]]:
        """Have what code declares: new ones made, fields applied that the code changed.

        Return by name the fields that differ from the code, as they were changed by other means.
        """
        ...

    async def get(self, name: str) -> EventType | None:
        """Return an event type."""
        ...

    async def page(self, window: Window, *, archived: bool) -> Page[EventType]:
        """Return event types by name; archived ones only if asked for."""
        ...

    async def update(self, name: str, values: Mapping[str, Any], now: int) -> EventType | None:
        """Change the fields given; None when there is no such event type."""
        ...

    async def delete(self, name: str, now: int, *, expunge: bool) -> bool:
        """Archive an event type, or remove it; False when there is none."""
        ...


class Endpoints(Protocol):
    """Endpoints, each of one application; what is asked of another's finds nothing."""

    async def declare(self, app: bytes, endpoints: Sequence[Endpoint], now: int) -> None:
        """Store declared endpoints: new ones inserted, changed ones updated, none doubled."""

    async def retire(
        self, app: bytes, source: str, keep: Iterable[str], reason: str, now: int
    ) -> list[str]:
        """Disable the endpoints of a source whose URL is not in `keep`; return those URLs."""
        ...

    async def create(
        self, app: bytes, new: Endpoint, now: int, key: bytes | None = None
    ) -> Endpoint:
        """Store an endpoint, unless there is one with this `key`; AlreadyExists for its uid."""
        ...

    async def all(self, app: bytes) -> list[Endpoint]:
        """Return all endpoints, oldest first."""
        ...

    async def page(self, app: bytes, window: Window) -> Page[Endpoint]:
        """Return endpoints in the order they were made."""
        ...

    async def find(self, app: bytes, names: Iterable[str]) -> Endpoint | None:
        """Return the oldest endpoint with one of these ids, uids or URLs."""
        ...

    async def get(self, app: bytes, keys: Iterable[bytes]) -> dict[bytes, Endpoint]:
        """Return those endpoints that exist, by key."""
        ...

    async def health(self, app: bytes, key: bytes, now: int) -> EndpointHealth | None:
        """Return how an endpoint is doing."""
        ...

    async def update(
        self, app: bytes, key: bytes, changes: Mapping[str, Any], now: int
    ) -> tuple[Endpoint, int]:
        """Change the fields given; return it and how many held deliveries are due now."""
        ...

    async def delete(self, app: bytes, key: bytes, now: int) -> bool:
        """Delete an endpoint and cancel what waits for it; False when it is gone already."""
        ...

    async def rotate_secret(self, endpoint: bytes, secret: str, expires_at: int, now: int) -> None:
        """Make `secret` the newest one; the others sign until `expires_at` (or sooner)."""

    async def enable(self, endpoint: bytes, now: int) -> int:
        """Enable an endpoint and make what was held due now; return how many were held."""
        ...

    async def disable(self, endpoint: bytes, reason: str, now: int) -> None:
        """Disable an endpoint: deliveries for it are held."""

    async def change_url(self, endpoint: bytes, url: str, now: int) -> None:
        """Send an endpoint's deliveries elsewhere; pending again where a handshake is demanded."""


class ApiKeys(Protocol):
    """The keys of the REST API. What is stored of a token is its hash."""

    async def add(self, key: bytes, hashed: bytes, new: ApiKey, now: int) -> ApiKey:
        """Store a key; InvalidInput when it is scoped to an application that does not exist."""
        ...

    async def all(self) -> list[ApiKey]:
        """Return all keys, oldest first."""
        ...

    async def page(self, window: Window, *, portal: bool) -> Page[ApiKey]:
        """Return keys in the order they were made; those of portals only if asked for."""
        ...

    async def find(self, key: bytes) -> tuple[bytes, ApiKey] | None:
        """Return the hash of a key's token, and the key."""
        ...

    async def used(self, key: bytes, now: int) -> None:
        """Note that a key was used."""

    async def revoke(self, key: bytes, now: int) -> ApiKey | None:
        """Revoke a key unless it is already; None when there is no such key."""
        ...

    async def revoke_portals(self, app: bytes, now: int) -> list[bytes]:
        """Revoke the portal keys of an application that still open, all or none; return which."""
        ...


class Claim(NamedTuple):
    """What a request that may have been sent before is to do.

    `mine`: do it, and tell what came of it. Otherwise it was done (`status` is set), is being done
    right now, or is another request under the same name (`same` is False). `resource` is the id
    for what it makes: the same in every try, so that what an earlier one made is found.
    """

    resource: bytes
    mine: bool = False
    same: bool = True
    status: int | None = None
    body: bytes | None = None


class Answers(Protocol):
    """Answers to requests that may be sent again. Every write after a claim is fenced by it."""

    async def claim(
        self,
        name: bytes,
        digest: bytes,
        resource: bytes,
        lease: int,
        now: int,
        until: int,
        end: int,
    ) -> Claim:
        """Claim a request (`lease`) until a time, or return what became of it.

        `name` is its own for as long as it is remembered, to `end`; `digest` is that of its body.
        """
        ...

    async def keep(self, name: bytes, lease: int, status: int, body: bytes | None) -> bool:
        """Store what was answered, or that it may not be stored; False when the lease was lost."""
        ...

    async def give_back(self, name: bytes, lease: int, now: int) -> bool:
        """Leave a request whose outcome is not known to whoever sends it again."""
        ...

    async def forget(self, name: bytes, lease: int) -> None:
        """Forget a request that was refused: sent again, it is judged anew."""

    async def prune(self, now: int) -> None:
        """Remove what has expired."""
