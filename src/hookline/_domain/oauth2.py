"""OAuth2 client credentials (RFC 6749 §4.4): what is asked of a token endpoint, and its answer."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlencode

from hookline._domain import check
from hookline._domain.delivery import Failure, Outcome, describe
from hookline._domain.identity import check_pem
from hookline._domain.url import Url, parse
from hookline._said import Said
from hookline.errors import InvalidInput, InvalidUrl

KNOWN = ("token_url", "client_id", "client_secret", "scope", "audience", "auth", "params", "ca")
MAX_TEXT = 4096
MAX_PARAMS = 20
MAX_TOKEN = 8192
MAX_ANSWER = 65_536
"""Bytes of a token endpoint's answer."""
UNSAID = 300.0
"""Seconds a token is used whose answer does not say how long it is good for."""
LONGEST = 86_400.0
MARGIN, MARGIN_PART = 30.0, 0.1
"""Seconds before its end, and the part of its life at most, from which a token is not used."""

_RESERVED = frozenset({"grant_type", "client_id", "client_secret", "scope", "audience"})
# RFC 6749 §3.3 and Appendix A: what those may be made of.
_VISIBLE = re.compile(r"[\x20-\x7e]+")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)
"""RFC 6749 §5.2. Other words could be an echo of what was sent, and are not repeated."""


@dataclass(frozen=True, slots=True)
class OAuth2:
    """How an endpoint's access tokens are had.

    `auth`: the client's credentials go as `basic` or in the `body`. `ca` replaces the system's
    certificate authorities for the token endpoint.
    """

    token_url: Url
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    scope: str | None = None
    audience: str | None = None
    auth: str = "basic"
    params: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "OAuth2":
        """Return it from an endpoint's option; raise InvalidInput, never with a secret."""
        if not isinstance(given, Mapping):
            raise InvalidInput(
                Said("oauth2: expected an object, got {got}", got=type(given).__name__)
            )
        for name in given:
            if name not in KNOWN:
                raise InvalidInput(
                    Said(
                        "oauth2: unknown key {got}; known are {known}",
                        got=repr(name),
                        known=", ".join(KNOWN),
                    )
                )
        for name in KNOWN[:3]:
            if given.get(name) is None:
                raise InvalidInput(Said("oauth2.{name}: is missing", name=name))
        for name in ("client_id", "client_secret", "scope", "audience"):
            _check_visible(f"oauth2.{name}", given.get(name))
        auth = given.get("auth") or "basic"
        if auth not in ("basic", "body"):
            raise InvalidInput(Said("oauth2.auth: expected 'basic' or 'body'"))
        ca = given.get("ca")
        try:
            check_pem(ca, None, None)
        except InvalidInput as error:
            raise InvalidInput(Said("oauth2.{error}", error=error.args[0])) from None
        return cls(
            token_url=_token_url(given["token_url"]),
            client_id=given["client_id"],
            client_secret=given["client_secret"],
            scope=given.get("scope"),
            audience=given.get("audience"),
            auth=auth,
            params=_params(given.get("params") or {}),
            ca=ca,
        )

    def stored(self) -> dict[str, Any]:
        """Return it as an endpoint's option, in one order."""
        values = {
            "token_url": str(self.token_url),
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "scope": self.scope,
            "audience": self.audience,
            "auth": self.auth,
            "params": dict(self.params) or None,
            "ca": self.ca,
        }
        return {name: value for name, value in values.items() if value is not None}

    def ask(self) -> tuple[list[str], bytes]:
        """Return the header lines and the body of a request for a token."""
        form = {"grant_type": "client_credentials"}
        if self.scope is not None:
            form["scope"] = self.scope
        if self.audience is not None:
            form["audience"] = self.audience
        form.update(self.params)
        lines = ["Content-Type: application/x-www-form-urlencoded", "Accept: application/json"]
        if self.auth == "body":
            form |= {"client_id": self.client_id, "client_secret": self.client_secret}
        else:  # RFC 6749 §2.3.1: form-encoded first
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
            lines.append(f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}")
        return lines, urlencode(form).encode()


class Token(NamedTuple):
    """An access token, and for how many seconds it is used."""

    text: str
    seconds: float

    def __repr__(self) -> str:
        return f"Token(seconds={self.seconds!r})"


def read(outcome: Outcome) -> Token | str:
    """Return the token a token endpoint answered with, or why there is none.

    RFC 6749 §5.1. The reason has nothing of what was sent or answered but the standard's words.
    """
    if outcome.failure is not None:
        why = describe(outcome)
        code = _document(outcome.body).get("error") if outcome.failure is Failure.STATUS else None
        known = isinstance(code, str) and code in _ERRORS
        return f"the token endpoint: {why} {code}" if known else f"the token endpoint: {why}"
    if len(outcome.body) >= MAX_ANSWER:
        return f"the token endpoint answered more than {MAX_ANSWER} bytes"
    document = _document(outcome.body)
    if not document:
        return "the token endpoint did not answer with a JSON object"
    text, kind = document.get("access_token"), document.get("token_type", "Bearer")
    if not isinstance(text, str) or not text:
        return "the token endpoint's answer has no access_token"
    if len(text) > MAX_TOKEN or not _TOKEN.fullmatch(text):
        return f"the access_token is no header value of 1 to {MAX_TOKEN} visible characters"
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return "the token_type is not Bearer"
    seconds = _seconds(document.get("expires_in"))
    if seconds is None:
        return "expires_in is not a number of seconds"
    return Token(text, seconds - min(MARGIN, seconds * MARGIN_PART))


def _seconds(value: Any) -> float | None:
    if value is None:
        return UNSAID
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:10])
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return float(min(value, LONGEST))


def _document(body: bytes) -> dict[str, Any]:
    """Return the object a body holds, an empty one when it holds none."""
    try:
        found = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refuse(word: str) -> Any:
    raise ValueError(word)


def _token_url(text: Any) -> Url:
    try:
        return parse(text)
    except InvalidUrl as error:
        raise InvalidUrl(Said("oauth2.token_{error}", error=error.args[0])) from None


def _check_visible(name: str, value: Any) -> None:
    if value is None:
        return
    check.text(name, value, 1, MAX_TEXT)
    if not _VISIBLE.fullmatch(value):
        raise InvalidInput(Said("{name}: expected visible ASCII characters and spaces", name=name))


def _params(given: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(given, Mapping) or len(given) > MAX_PARAMS:
        raise InvalidInput(
            Said("oauth2.params: expected an object of {most} texts at most", most=MAX_PARAMS)
        )
    for name, value in given.items():
        _check_visible("oauth2.params", name)
        if name in _RESERVED:
            raise InvalidInput(
                Said("oauth2.params: {name!r} is said otherwise; leave it out here", name=name)
            )
        _check_visible(f"oauth2.params.{name}", value)
    return tuple(sorted(given.items()))
