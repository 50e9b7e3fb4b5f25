"""Keys of the REST API: their tokens, their scopes, and what those allow."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hookline._domain import check, ids
from hookline._said import Said
from hookline.errors import InvalidApiKey, InvalidInput

TOKEN_PREFIX = "hk_"
SECRET_BYTES = 32
MAX_NAME = 256
MAX_SCOPES = 100
ADMIN, READ, APPLICATION, PORTAL = "admin", "read", "application:", "portal"
_UNKNOWN = hashlib.sha256(b"no such key").digest()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the REST API as people see it. `token` is there once, when it was made.

    `scopes` are `admin` (everything), `read` (look, change nothing) and `application:<id>` (that
    application alone, several allowed); with `read` beside them, applications are only looked at;
    with `portal`, it is a customer's key: it looks after endpoints and sees what was sent to them,
    and neither publishes nor erases.
    """

    name: str
    scopes: tuple[str, ...]
    id: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    token: str | None = field(default=None, repr=False)

    def allows(self, application: str | None, *, write: bool) -> bool:
        """Return whether it may read, or `write`, in an application; None is all of them."""
        if ADMIN in self.scopes:
            return True
        if write and READ in self.scopes:
            return False
        mine = [s.removeprefix(APPLICATION) for s in self.scopes if s.startswith(APPLICATION)]
        return application in mine if mine else not write

    @property
    def portal(self) -> bool:
        """Whether it is a customer's key."""
        return PORTAL in self.scopes

    def usable(self, now: datetime) -> str | None:
        """Return why it cannot be used at `now`, None when it can."""
        if self.revoked_at is not None:
            return f"was revoked at {self.revoked_at:%Y-%m-%dT%H:%M:%SZ}"
        if self.expires_at is not None and self.expires_at <= now:
            return f"expired at {self.expires_at:%Y-%m-%dT%H:%M:%SZ}"
        return None


def checked_name(name: str) -> str:
    """Return the name of a key; raise InvalidInput for an empty or a long one."""
    check.text("name", name, 1, MAX_NAME)
    return name


def checked_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return scopes without repeats; raise InvalidInput naming the first bad one."""
    if isinstance(scopes, str) or not isinstance(scopes, Iterable):
        raise InvalidInput(Said("scopes: expected a list, got {got}", got=repr(scopes)))
    found = tuple(dict.fromkeys(scopes))
    if not found:
        raise InvalidInput(Said("scopes: empty; name admin, read or application:<id>"))
    if len(found) > MAX_SCOPES:
        raise InvalidInput(
            Said("scopes: {count}, at most {most}", count=len(found), most=MAX_SCOPES)
        )
    for scope in found:
        known = isinstance(scope, str) and (
            scope in (ADMIN, READ, PORTAL)
            or (scope.startswith(APPLICATION) and scope != APPLICATION)
        )
        if not known:
            raise InvalidInput(
                Said("scopes: {got} is not admin, read or application:<id>", got=repr(scope))
            )
    if PORTAL in found and not any(scope.startswith(APPLICATION) for scope in found):
        raise InvalidInput(Said("scopes: portal goes with application:<id>"))
    if ADMIN in found and len(found) > 1:
        raise InvalidInput(Said("scopes: admin allows everything, so it stands alone"))
    return found


def token(key: bytes, secret32: bytes) -> str:
    """Return the token of a key: `hk_`, its id's body, and 32 random bytes in base64url."""
    body = ids.encode(ids.API_KEY, key).removeprefix(ids.API_KEY)
    return f"{TOKEN_PREFIX}{body}_{base64.urlsafe_b64encode(secret32).decode().rstrip('=')}"


def key_of(text: str) -> bytes:
    """Return the key a token names; raise InvalidApiKey when it is no token."""
    body, found, _ = text.removeprefix(TOKEN_PREFIX).partition("_")
    key = ids.decode(ids.API_KEY, ids.API_KEY + body)
    if not text.startswith(TOKEN_PREFIX) or not found or key is None or not text.isascii():
        raise InvalidApiKey("API key: is not one (hk_…), or not a whole one")
    return key


def hashed(text: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(text.encode()).digest()


def authenticated(text: str, found: tuple[bytes, ApiKey] | None, now: datetime) -> ApiKey:
    """Return the key whose token `text` is; raise InvalidApiKey with the operator's reason.

    Compares in constant time, also when there is no such key.
    """
    stored, key = found or (_UNKNOWN, None)
    same = hmac.compare_digest(hashed(text), stored)
    if key is None or not same:
        raise InvalidApiKey("API key: is unknown")
    reason = key.usable(now)
    if reason is not None:
        raise InvalidApiKey(f"API key: {key.id} ({key.name}) {reason}")
    return key


def with_ids(scopes: Sequence[str], known: dict[str, str]) -> tuple[str, ...]:
    """Return scopes with applications by id; `known` has ids by id and by uid.

    Raises InvalidInput for an application that does not exist.
    """
    found = []
    for scope in scopes:
        name = scope.removeprefix(APPLICATION)
        if scope.startswith(APPLICATION):
            if name not in known:
                raise InvalidInput(Said("scopes: there is no application {name!r}", name=name))
            found.append(APPLICATION + known[name])
        else:
            found.append(scope)
    return tuple(dict.fromkeys(found))
