"""Verifying: what arrived, whether its signature fits, and the event it is."""

import hmac
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import inf
from typing import Any, Literal, NamedTuple, NoReturn, Protocol, TypeAlias

from hookline._domain import ed25519
from hookline._domain.signature import (
    check_receiver_secret,
    key_bytes,
    standard_signature,
)
from hookline._said import Said
from hookline.errors import InvalidSecret

TOLERANCE = 300
"""Seconds a Standard Webhooks timestamp may be off, either way (Standard Webhooks 1.0)."""

Scheme: TypeAlias = Literal["any", "standard", "guide"]


class _HasItems(Protocol):
    def items(self) -> Iterable[tuple[Any, Any]]: ...


HeaderSource: TypeAlias = _HasItems | Iterable[tuple[Any, Any]]
"""Headers as any framework hands them over; see `verify`."""


class Reason(StrEnum):
    """Why a webhook was refused."""

    NO_SIGNATURE = "no_signature"
    BAD_SIGNATURE = "bad_signature"
    TIMESTAMP_TOO_OLD = "timestamp_too_old"
    TIMESTAMP_TOO_NEW = "timestamp_too_new"
    MALFORMED = "malformed"
    """A header (or the body's type) cannot be what a sender sent."""
    BAD_BODY = "bad_body"
    """The signature fits, but the body is not JSON."""
    BAD_SECRET = "bad_secret"
    """The receiver's own secret is unusable: your configuration, not the sender's fault."""


class VerificationError(Exception):
    """What arrived was not verified: the only exception that arriving data can cause.

    `reason` is the code to branch on; the text says what to do and holds neither secret nor
    signature nor anything else the sender wrote.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(reason, message)  # both, so that the exception survives pickling
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[1])


@dataclass(frozen=True, slots=True)
class Event:
    """A verified webhook.

    `type`, `data`, `timestamp`, `metadata` and `payload` come from the signed body. `id` and
    `sent_at` are signed where `scheme` is "standard"; `attempt` never is: it is for logs.
    """

    id: str | None
    """The message id, the same on every retry; None where the sender gave none."""
    type: str
    """The event type (`event` of the guide's envelope, else `type`), "" where the body has none."""
    data: Any
    """`data` of the envelope; the whole payload where there is no such key."""
    timestamp: datetime | None
    """When the event happened, UTC; None where the body does not say."""
    metadata: dict[str, Any]
    attempt: int | None
    """1, 2, 3 …; None where the sender does not say."""
    sent_at: datetime | None
    """When this attempt was signed, UTC; None with the guide's header alone."""
    scheme: Literal["standard", "guide"]
    """Which signature was verified."""
    payload: Any = field(repr=False)
    """The whole body as parsed JSON."""
    body: bytes = field(repr=False)
    """The body as it arrived."""


def verify(
    body: bytes | str,
    headers: HeaderSource,
    secret: str | Sequence[str],
    *,
    tolerance: float | timedelta | None = TOLERANCE,
    now: float | None = None,
    scheme: Scheme = "any",
) -> Event:
    """Return the event of a webhook whose signature fits, or raise VerificationError.

    `body` is the raw request body; text is taken as UTF-8. `headers` may be a mapping with names
    in any case, a WSGI environ, a framework's headers object, a list of pairs (also of bytes, as
    in an ASGI scope); values may be lists, as in Node. `secret` is the endpoint's secret, or
    several while one replaces another: the signature must fit one of them. `whpk_…`, the public
    key of an ed25519 endpoint, verifies Standard Webhooks' `v1a`.

    `tolerance` is in seconds, `None` accepts any age; it applies to Standard Webhooks only, for
    the guide's header signs no time. `now` is in Unix seconds. `scheme` "standard" or "guide"
    insists on one signature; "any" takes Standard Webhooks where present, else the guide's header.

    The signature is checked before the body is parsed, in constant time (Standard Webhooks 1.0,
    §Verifying webhook authenticity).
    """
    if scheme not in ("any", "standard", "guide"):
        raise ValueError(f"scheme: expected 'any', 'standard' or 'guide', got {scheme!r}")
    raw = _raw(body)
    keys = _keys(secret)
    found = _known(headers)
    family = _family(found)
    if scheme == "standard" or (scheme == "any" and family):
        message_id, sent = _check_standard(raw, found, family, keys)
        _check_age(sent, tolerance, time.time() if now is None else now)
        return _event(raw, found, "standard", message_id, sent)
    _check_guide(raw, found, keys)
    # Not signed here: good against honest retries, worth nothing against a forger.
    return _event(raw, found, "guide", _single(found, "webhook-id"), None)


def verify_signature(body: bytes | str, signature: str | None, secret: str) -> bool:
    """Tell whether `X-Webhook-Signature` fits the raw body: the guide's function.

    The prefix `sha256=` may be missing. Returns False, and never raises, for signatures that are
    missing, short or otherwise malformed, and for an empty secret. Constant time.
    """
    if not isinstance(signature, str) or not isinstance(secret, str) or not secret:
        return False
    try:
        return _guide_fits(_raw(body), [signature], [secret.encode()])
    except (VerificationError, UnicodeEncodeError):
        return False


# What came in ------------------------------------------------------------------------------------


def _raw(body: bytes | str) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, bytearray | memoryview):
        return bytes(body)
    if isinstance(body, str):
        try:
            return body.encode()
        except UnicodeEncodeError:
            raise VerificationError(
                Reason.MALFORMED, "body: the text has lone surrogates; pass the raw bytes instead"
            ) from None
    raise VerificationError(
        Reason.MALFORMED,
        f"body: expected the raw bytes of the request, got {type(body).__name__}; "
        "a body that was parsed first can no longer be verified",
    )


class _Keys(NamedTuple):
    """The same secrets as keys of both schemes; public keys are of the standard's only."""

    guide: list[bytes]
    standard: list[bytes]
    public: Sequence[Callable[[bytes, bytes], bool]] = ()


def _keys(secret: str | Sequence[str]) -> _Keys:
    try:
        secrets = [secret] if isinstance(secret, str | bytes) else list(secret)
        checked = [check_receiver_secret(each) for each in secrets]
    except (InvalidSecret, TypeError) as error:
        text = error.args[0] if isinstance(error, InvalidSecret) else "secret: expected text"
        raise VerificationError(Reason.BAD_SECRET, text) from None
    if not checked:
        raise VerificationError(Reason.BAD_SECRET, "secret: none given")
    shared = [each for each in checked if not ed25519.is_public(each)]
    public = [ed25519.verifier(each) for each in checked if ed25519.is_public(each)]
    return _Keys([each.encode() for each in shared], [key_bytes(each) for each in shared], public)


_GUIDE = "x-webhook-signature"
_ATTEMPT = "x-webhook-attempt"
_FAMILIES = ("webhook", "svix")
_NAMES = frozenset(
    {_GUIDE, _ATTEMPT}
    | {f"{family}-{part}" for family in _FAMILIES for part in ("id", "timestamp", "signature")}
)
_Found: TypeAlias = dict[str, list[str]]


def _known(headers: HeaderSource) -> _Found:
    """Return the headers that matter, by lower-case name, each with its non-empty values."""
    found: _Found = {}
    try:
        for name, value in _pairs(headers):
            key = _plain_name(name)
            if key in _NAMES:
                found.setdefault(key, []).extend(_texts(key, value))
    except (AttributeError, TypeError, ValueError):
        raise VerificationError(
            Reason.MALFORMED,
            "headers: expected a mapping, a framework's headers object or a list of pairs, "
            f"got {type(headers).__name__}",
        ) from None
    return found


def header(headers: HeaderSource, name: str) -> str | None:
    """Return a header's first value, by its lower-case name; None where it is missing or empty."""
    for each, value in _pairs(headers):
        if _plain_name(each) == name:
            return next(_texts(name, value), None)
    return None


def _pairs(headers: Any) -> Iterable[tuple[Any, Any]]:
    # Where one exists, the method that keeps repeated headers apart comes first.
    for method in ("multi_items", "items", "entries"):
        get = getattr(headers, method, None)
        if callable(get):
            headers = get()
            break
    pairs: Iterable[tuple[Any, Any]] = headers
    return pairs


def _plain_name(name: Any) -> str:
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    if not isinstance(name, str):
        return ""
    # WSGI and CGI: HTTP_WEBHOOK_ID (RFC 3875 §4.1.18).
    return name.removeprefix("HTTP_").replace("_", "-").lower()


def _texts(name: str, value: Any) -> Iterator[str]:
    values = value if isinstance(value, list | tuple) else (value,)
    for each in values:
        if isinstance(each, bytes):
            text = each.decode("latin-1").strip()
        elif isinstance(each, str):
            text = each.strip()
        elif each is None:
            continue
        else:
            raise VerificationError(
                Reason.MALFORMED, f"{name}: expected text, got {type(each).__name__}"
            )
        if text:
            yield text


def _single(found: _Found, name: str) -> str | None:
    values = set(found.get(name, ()))
    if len(values) > 1:
        raise VerificationError(
            Reason.MALFORMED, Said("{name}: came twice, with different values", name=name)
        )
    return values.pop() if values else None


# Signatures --------------------------------------------------------------------------------------

# Visible ASCII without the full stop, which separates the signed parts: with it in an id, one
# signed text could be read as two messages (Standard Webhooks 1.0, §Signature scheme).
_ID = re.compile(r"[!-\-/-~]{1,256}")
_SECONDS = re.compile(r"[0-9]{1,11}")


def _family(found: _Found) -> str | None:
    return next((each for each in _FAMILIES if found.get(f"{each}-signature")), None)


def _check_standard(raw: bytes, found: _Found, family: str | None, keys: _Keys) -> tuple[str, int]:
    if family is None:
        raise VerificationError(
            Reason.NO_SIGNATURE,
            "no webhook-signature header: the endpoint has no secret or other signatures, "
            "or something before this code removes headers",
        )
    message_id, sent = _identity(found, family)
    if not _standard_fits(raw, found[f"{family}-signature"], message_id, sent, keys):
        raise VerificationError(
            Reason.BAD_SIGNATURE,
            f"{family}-signature: does not fit; check that the secret is this endpoint's, "
            "and that the body is the raw bytes, not JSON that was parsed and written anew",
        )
    return message_id, sent


def _identity(found: _Found, family: str) -> tuple[str, int]:
    message_id = _part(
        found, f"{family}-id", _ID, Said("1 to 256 visible ASCII characters, no '.'")
    )
    sent = _part(found, f"{family}-timestamp", _SECONDS, Said("whole Unix seconds, as 1760697000"))
    return message_id, int(sent)


def _part(found: _Found, name: str, pattern: re.Pattern[str], expected: str) -> str:
    value = _single(found, name)
    if value is None:
        raise VerificationError(Reason.MALFORMED, f"{name}: missing beside the signature")
    if not pattern.fullmatch(value):
        raise VerificationError(
            Reason.MALFORMED, Said("{name}: expected {expected}", name=name, expected=expected)
        )
    return value


def _standard_fits(raw: bytes, values: list[str], message_id: str, sent: int, keys: _Keys) -> bool:
    # Signatures of other versions are items like any other here: they fit no v1 text.
    items = [item for value in values for item in value.split(" ")]
    expected = [standard_signature(key, message_id, sent, raw) for key in keys.standard]
    content = b"%b.%d.%b" % (message_id.encode(), sent, raw)
    return _any_equal(items, expected) or ed25519.any_fits(items, keys.public, content)


def _check_guide(raw: bytes, found: _Found, keys: _Keys) -> None:
    values = found.get(_GUIDE)
    if not values:
        raise VerificationError(
            Reason.NO_SIGNATURE,
            "no X-Webhook-Signature or webhook-signature header: the endpoint has no secret or "
            "other signatures, or something before this code removes headers",
        )
    if not keys.guide:
        raise VerificationError(
            Reason.BAD_SIGNATURE,
            "X-Webhook-Signature: a whpk_ key verifies webhook-signature only, which did not come; "
            "this header takes the whsec_ derived from it (Endpoint.hmac_secret)",
        )
    if not _guide_fits(raw, values, keys.guide):
        raise VerificationError(
            Reason.BAD_SIGNATURE,
            "X-Webhook-Signature: does not fit; check that the secret is this endpoint's, "
            "and that the body is the raw bytes, not JSON that was parsed and written anew",
        )


def _guide_fits(raw: bytes, values: list[str], keys: list[bytes]) -> bool:
    items = [value.removeprefix("sha256=") for value in values]
    expected = [hmac.digest(key, raw, "sha256").hex() for key in keys]
    return _any_equal(items, expected)


def _any_equal(items: list[str], expected: list[str]) -> bool:
    # Every item meets every expected text, so the time taken does not tell which one fitted.
    equal = False
    for item in items:
        came = item.encode(errors="replace")
        for text in expected:
            equal |= hmac.compare_digest(came, text.encode())
    return equal


def _check_age(sent: int, tolerance: float | timedelta | None, now: float) -> None:
    if isinstance(tolerance, timedelta):
        tolerance = tolerance.total_seconds()
    allowed = inf if tolerance is None else tolerance
    # Negated, so that a tolerance of NaN refuses everything instead of nothing.
    if not now - sent <= allowed:
        raise VerificationError(
            Reason.TIMESTAMP_TOO_OLD,
            f"webhook-timestamp: {now - sent:.0f} s old, at most {allowed:g} s are accepted; "
            "a replay, or this machine's clock is wrong",
        )
    if not sent - now <= allowed:
        raise VerificationError(
            Reason.TIMESTAMP_TOO_NEW,
            f"webhook-timestamp: {sent - now:.0f} s in the future, at most {allowed:g} s are "
            "accepted; one of the two clocks is wrong",
        )


# The event ---------------------------------------------------------------------------------------


def _event(
    raw: bytes,
    found: _Found,
    scheme: Literal["standard", "guide"],
    message_id: str | None,
    sent: int | None,
) -> Event:
    payload = _parse(raw)
    envelope: dict[str, Any] = payload if isinstance(payload, dict) else {}
    metadata = envelope.get("metadata")
    attempt = next(iter(found.get(_ATTEMPT, ())), "")
    return Event(
        id=message_id,
        type=next((t for k in ("event", "type") if isinstance(t := envelope.get(k), str)), ""),
        data=envelope.get("data", payload),
        timestamp=_moment(envelope.get("timestamp")),
        metadata=metadata if isinstance(metadata, dict) else {},
        attempt=int(attempt) if _SECONDS.fullmatch(attempt) else None,
        sent_at=None if sent is None else datetime.fromtimestamp(sent, UTC),
        scheme=scheme,
        payload=payload,
        body=raw,
    )


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise VerificationError(
            Reason.BAD_BODY, "body: the signature fits, but this is not JSON in UTF-8"
        ) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
