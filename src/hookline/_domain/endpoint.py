"""Endpoints: where webhooks go, and what they want to hear."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from hookline._domain import ed25519
from hookline._domain.address import Policy
from hookline._domain.expression import Document, Filter, Transform, Verdict
from hookline._domain.expression.meter import ExpressionFailed
from hookline._domain.identity import Identity, Proxying
from hookline._domain.oauth2 import OAuth2
from hookline._domain.signature import DEFAULT_FORMS, Signer, hmac_secret
from hookline._domain.url import Url, parse
from hookline._said import Said, either
from hookline.errors import InvalidInput, UnknownEventType

_EVENT_TYPE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_SUBSCRIPTION = re.compile(r"\*|[A-Za-z0-9_.-]+(?:\.\*)?")
_PUBLISHED = re.compile(r"[A-Za-z0-9_.-]+")
MAX_EVENT_TYPE = 128
MAX_PUBLISHED = 256
"""Characters of an event type that is published over the API, where its other clients allow it."""
DEFAULT_CONCURRENCY = 20
"""Requests in flight to one endpoint, over all workers."""
UNREADABLE = 1000
"""Steps that a filter counts which is found to be unreadable."""


class EndpointState(StrEnum):
    """Whether an endpoint is sent to; otherwise its deliveries are held."""

    ACTIVE = "active"
    PENDING = "pending"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as people see it. Secrets, keys and the headers' values are kept out of `repr`.

    `id` is None for a declaration that is not stored yet. `events` holds event types, prefixes
    such as `customer.*`, or `*`. `source` says where it comes from: `code`, `file` or `api`.
    `locked` says why the secret and the headers cannot be read, for those that do not open.
    `pending_since` is set until its receiver has proved that it expects webhooks; `pending_reason`
    says what came of the last try. `granted_rate` is what a CloudEvents receiver allows, in
    requests per second.
    """

    url: str
    events: tuple[str, ...]
    secret: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    description: str = ""
    retry_schedule: tuple[float, ...] | None = None
    timeout: float | None = None
    concurrency: int | None = None
    rate_limit: float | None = None
    ordered: bool = False
    allowed_networks: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    uid: str | None = None
    signatures: tuple[str, ...] | None = None
    ca: str | None = field(default=None, repr=False)
    client_certificate: str | None = field(default=None, repr=False)
    client_key: str | None = field(default=None, repr=False)
    oauth2: Mapping[str, Any] | None = field(default=None, repr=False)
    http2: bool = False
    proxy: str | None = field(default=None, repr=False)
    handshake: str | None = None
    filter: str | None = None
    transform: str | None = None
    source: str = "code"
    id: str | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    locked: str | None = None
    pending_since: datetime | None = None
    pending_reason: str | None = None
    granted_rate: float | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def state(self) -> EndpointState:
        """`disabled`, else `pending`, else `active`."""
        if self.disabled:
            return EndpointState.DISABLED
        return EndpointState.ACTIVE if self.pending_since is None else EndpointState.PENDING

    @property
    def disabled(self) -> bool:
        """Whether deliveries for it are held instead of sent."""
        return self.disabled_at is not None

    @property
    def public_key(self) -> str | None:
        """The `whpk_…` its receiver verifies with; None unless its secret is an ed25519 key."""
        signs = self.secret is not None and ed25519.is_private(self.secret)
        return ed25519.public_key(self.secret or "") if signs else None

    @property
    def hmac_secret(self) -> str | None:
        """The secret for a receiver that verifies HMAC, which is every form but `v1a`.

        It is the endpoint's secret, or, where that is an ed25519 key, a `whsec_…` derived from it
        that gives nothing of the key away.
        """
        return None if self.secret is None else hmac_secret(self.secret)

    def wants(self, event_type: str, channels: Collection[str] | None = None) -> bool:
        """Return whether one of its subscriptions matches the event type.

        And, where they are given, whether what is sent to these `channels` is for it.
        """
        heard = channels is None or in_channels(self.channels, channels)
        return heard and matches(self.events, event_type)


def in_channels(own: Collection[str], channels: Collection[str]) -> bool:
    """Return whether who names these channels of its own hears of what is sent to `channels`.

    Without channels of its own it hears of everything, with some only of what was sent to one.
    """
    return not own or not set(own).isdisjoint(channels)


def matches(subscriptions: Iterable[str], event_type: str) -> bool:
    """Return whether a subscription is `*`, the type itself, or a prefix such as `customer.*`."""
    return any(
        s in ("*", event_type) or (s.endswith(".*") and event_type.startswith(s[:-1]))
        for s in subscriptions
    )


def event_text(event: object) -> str:
    """Return the text of an event type given as an Enum member or as text."""
    value = event.value if isinstance(event, Enum) else event
    if not isinstance(value, str):
        raise InvalidInput(f"event: expected text or an Enum member, got {type(event).__name__}")
    return value


class Catalogue:
    """The event types one `Webhooks` knows; an empty one accepts any well-formed name."""

    def __init__(self, names: Iterable[object] | None = None) -> None:
        """Take an Enum class or any iterable of members or text."""
        self.bound = names is not None
        self.names = tuple(dict.fromkeys(well_formed(event_text(n)) for n in names or ()))
        self._known = frozenset(self.names)

    def add(self, name: str) -> None:
        """Know one more event type."""
        if name not in self._known:
            self.names = (*self.names, name)
            self._known |= {name}

    def event_type(self, event: object) -> str:
        """Return the event type to trigger, or raise UnknownEventType with the nearest names."""
        name = event_text(event)
        if name in self._known:
            return name
        if self.bound:
            raise UnknownEventType(self._unknown(name))
        return well_formed(name)

    def published(self, event: object) -> str:
        """Return the event type of a ready-made body: as `event_type`, with more names allowed.

        Those that Svix allows: any order of letters, digits, `_`, `-` and `.`.
        """
        name = event_text(event)
        if self.bound or len(name) > MAX_PUBLISHED or not _PUBLISHED.fullmatch(name):
            return self.event_type(name)
        return name

    def subscriptions(self, events: Iterable[object]) -> tuple[str, ...]:
        """Return the subscriptions of an endpoint as text, without repeats."""
        if isinstance(events, str | Enum) or not isinstance(events, Iterable):
            raise InvalidInput(
                Said("events: expected a list of event types, got {got}", got=repr(events))
            )
        names = tuple(dict.fromkeys(event_text(event) for event in events))
        if not names:
            raise InvalidInput(
                Said("events: empty; name event types, a prefix ('customer.*') or '*'")
            )
        for name in names:
            if not _SUBSCRIPTION.fullmatch(name) or len(name) > MAX_PUBLISHED:
                raise InvalidInput(
                    Said(
                        "events: {name!r} is not an event type, a prefix such as 'customer.*' "
                        "or '*'",
                        name=name,
                    )
                )
            if (
                name != "*"
                and self.bound
                and not any(matches((name,), known) for known in self.names)
            ):
                raise UnknownEventType(self._unknown(name))
        return names

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.names, n=3, cutoff=0.5)
        known = Said("one of {known}", known=", ".join(self.names))
        hint = either(map(repr, near)) if near else known
        return Said("unknown event type {name!r}; did you mean {hint}?", name=name, hint=hint)


@lru_cache(maxsize=4096)
def well_formed(name: str) -> str:
    """Return the name of an event type that may be triggered, or raise InvalidInput."""
    if not _EVENT_TYPE.fullmatch(name) or len(name) > MAX_EVENT_TYPE:
        raise InvalidInput(
            Said(
                "event: {name!r} is not a valid event type: letters, digits, '_' and '-', "
                "separated by dots, at most {most} characters",
                name=name,
                most=MAX_EVENT_TYPE,
            )
        )
    return name


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """One secret of an endpoint; `expires_at` (Unix ms) while it overlaps a newer one."""

    text: str = field(repr=False)
    expires_at: int | None = None


class Destination(NamedTuple):
    """Where an endpoint's requests go, what is allowed there, and how it is reached."""

    url: Url
    policy: Policy
    identity: Identity | None


@dataclass(slots=True, eq=False)
class Target:
    """What sending to an endpoint needs, as of one revision of it. Shared by its deliveries.

    `secrets` are newest first. `header_lines` are ready for the wire. `locked` says why neither
    could be read. `disabled_reason` is also set while it is pending: what is for it is held.
    `app_rate` bounds the requests per second to all endpoints of its application `app` together.
    """

    key: bytes
    revision: int
    url: str
    header_lines: tuple[str, ...] = field(default=(), repr=False)
    secrets: tuple[SigningSecret, ...] = field(default=(), repr=False)
    locked: str | None = None
    retry_schedule: tuple[float, ...] | None = None
    timeout: float | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    rate_limit: float | None = None
    ordered: bool = False
    disabled_reason: str | None = None
    app: bytes = b""
    app_rate: float | None = None
    allowed_networks: tuple[str, ...] = ()
    signatures: tuple[str, ...] = DEFAULT_FORMS
    ca: str | None = field(default=None, repr=False)
    client_certificate: str | None = field(default=None, repr=False)
    client_key: str | None = field(default=None, repr=False)
    oauth2: Mapping[str, Any] | None = field(default=None, repr=False)
    http2: bool = False
    proxy: str | None = field(default=None, repr=False)
    filter: str | None = None
    transform: str | None = None
    _filter: Filter | None = field(default=None, repr=False)
    _transform: Transform | None = field(default=None, repr=False)
    _destination: Destination | None = field(default=None, repr=False)
    _grant: OAuth2 | None = field(default=None, repr=False)
    _signer: Signer | None = field(default=None, repr=False)
    _signer_until: int = -1

    def destination(self, policy: Policy, proxying: Proxying) -> Destination:
        """Return where requests go, what is allowed there, and how it is reached.

        `policy` and `proxying` are the deployment's. Raises InvalidInput for what was changed by
        other means.
        """
        if self._destination is None:
            identity = Identity.of(
                ca=self.ca,
                certificate=self.client_certificate,
                key=self.client_key,
                proxy=proxying.of(self.proxy),
                http2=self.http2,
            )
            allowed = policy.widened(self.allowed_networks)
            self._destination = Destination(parse(self.url), allowed, identity)
        return self._destination

    def judges(self, document: Document) -> Verdict:
        """Return whether its filter lets an event through; one that cannot be applied does."""
        if self.filter is None:
            return Verdict(passes=True)
        try:
            if self._filter is None:
                self._filter = Filter(self.filter)
        except InvalidInput as error:  # jmespath is not installed here, or changed by other means
            return Verdict(passes=True, problem=str(error), steps=UNREADABLE)
        return self._filter.passes(document)

    def body_of(self, body: bytes, limit: int) -> bytes:
        """Return what is sent for an event: its body, or what is made of it, `limit` bytes at most.

        Raises ExpressionFailed.
        """
        if self.transform is None:
            return body
        try:
            if self._transform is None:
                self._transform = Transform(self.transform)
        except InvalidInput as error:
            raise ExpressionFailed(str(error)) from None
        return self._transform.transformed(Document(body), limit)

    def grant(self) -> OAuth2 | None:
        """Return how access tokens are had, None for an endpoint that needs none."""
        if self._grant is None and self.oauth2 is not None:
            self._grant = OAuth2.of(self.oauth2)
        return self._grant

    def signer(self, now: int) -> Signer | None:
        """Return the signer of the secrets active at `now` (Unix ms), None for an unsigned one.

        Raises InvalidSecret where an ed25519 key meets no `cryptography`.
        """
        if now >= self._signer_until:
            active = active_secrets(self.secrets, now)
            secrets = [s.text for s in active]
            self._signer = Signer(secrets, self.signatures) if secrets else None
            ends = [s.expires_at for s in active if s.expires_at is not None]
            self._signer_until = min(ends) if ends else 1 << 62
        return self._signer


def active_secrets(secrets: Sequence[SigningSecret], now: int) -> list[SigningSecret]:
    """Return the secrets that sign at `now`, newest first."""
    return [s for s in secrets if s.expires_at is None or s.expires_at > now]
