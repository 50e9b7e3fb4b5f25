"""The HTTP client before the REST API: standard library only, and nowhere else with the key.

No redirect is followed, and a proxy of the environment is used for https alone, where it sees
nothing but the server's name. Certificates are verified.
"""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from hookline import __version__
from hookline.cli._values import is_loopback
from hookline.errors import HooklineError, InvalidInput, InvalidSettings

TIMEOUT = 30.0
"""Seconds until a server counts as silent."""
PREFIX = "/api/v1"
Query = Iterable[tuple[str, Any]]


class Refused(HooklineError):
    """The server refused, or cannot be reached."""

    def __init__(self, message: str, status: int | None = None) -> None:
        """`status` is what it answered, None when it did not."""
        super().__init__(message)
        self.status = status


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        return None


class Client:
    """A server and the key for it."""

    def __init__(self, server: str, key: str | None) -> None:
        """Raises InvalidSettings for what is no URL of a server, or without a key."""
        self.base = _base(server)
        if not key:
            raise InvalidSettings(
                "no key for the server: set HOOKLINE_API_KEY, or give --key; one is made on its "
                "machine with hookline keys create"
            )
        if not key.isascii() or not key.isprintable() or " " in key:
            raise InvalidSettings("key: has characters that no key has; it is one word, hk_…")
        self._key = key
        proxies = {k: v for k, v in urllib.request.getproxies().items() if k in ("https", "no")}
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler(proxies),
            urllib.request.HTTPSHandler(context=ssl.create_default_context()),
            _NoRedirects,
        )

    def ask(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> Any:
        """Return the document a request is answered with; None for an empty answer.

        A body is a document, or bytes that are JSON already. Raises Refused, or InvalidInput for
        what was asked for wrongly.
        """
        with self.open(method, path, query, body, headers, timeout) as answer:
            content = self._guarded(answer.read)
        if not content:
            return None
        try:
            return json.loads(content)
        except ValueError:
            raise Refused(f"{self.base} answered something else than JSON: is it Hookline?") from (
                None
            )

    def open(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> HTTPResponse:
        """Return the answer to a request, to be read; raises as `ask`."""
        told = urlencode([(name, value) for name, value in query if value is not None])
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"has what JSON has not: {error}") from None
        request = urllib.request.Request(  # noqa: S310 - http or https: `_base` saw to it
            f"{self.base}{PREFIX}{path}{'?' * bool(told)}{told}", data, method=method
        )
        request.add_header("Accept", "application/json")
        request.add_header("User-Agent", f"hookline-cli/{__version__}")
        # Never sent on: urllib would take it along to wherever it is redirected.
        request.add_unredirected_header("Authorization", f"Bearer {self._key}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        found: HTTPResponse = self._guarded(lambda: self._opener.open(request, timeout=timeout))
        return found

    def _guarded(self, act: Any) -> Any:
        try:
            return act()
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error) from None
        except urllib.error.URLError as error:
            raise Refused(self._unreachable(error.reason)) from None
        except (OSError, HTTPException) as error:
            raise Refused(self._unreachable(error)) from None

    def _refusal(self, error: urllib.error.HTTPError) -> HooklineError:
        """Return what the server said, with what to do about it."""
        try:
            document = json.loads(error.read(1 << 16))
            detail = document["detail"]
        except (ValueError, LookupError, TypeError, OSError, HTTPException):
            document, detail = None, None
        status = error.code
        if 300 <= status < 400:  # noqa: PLR2004
            where = error.headers.get("Location", "elsewhere")
            return Refused(f"{self.base} sends on to {where}: give that as --server", status)
        if isinstance(detail, list):
            return InvalidInput("; ".join(map(_fault, detail)))
        if not isinstance(detail, str):
            return Refused(f"{self.base} answered {status}: is Hookline there?", status)
        if status == 400:  # noqa: PLR2004
            return InvalidInput(detail)
        return Refused(detail + _HINTS.get(status, ""), status)

    def _unreachable(self, reason: Any) -> str:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return (
                f"{self.base}: its certificate does not hold: {reason.verify_message}; for an "
                "authority of your own, name its file in SSL_CERT_FILE"
            )
        if isinstance(reason, TimeoutError):
            return f"{self.base} did not answer in time; is it busy, or behind a firewall?"
        text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        return f"{self.base} cannot be reached: {text}; is hookline serve running there?"


_HINTS = {
    401: "; the server does not take this key: is it revoked, expired, or another server's?",
    429: "; try again later",
    503: "; try again",
}
_SECRET = "over a server a secret is whsec_ or whsk_, and 32 to 100 characters of base64"
_NAME = "has other characters than A-Z a-z 0-9 - _ ."
_FORMS = {
    "secret": _SECRET,
    "key": _SECRET,
    "eventTypes": "expected an event type such as customer.created, customer.*, or *",
}


def _base(server: str) -> str:
    """Return a server's URL without what comes after its name and prefix."""
    parts = urlsplit(server.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidSettings(f"server: {server!r} is not of the form https://hooks.example.com")
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidSettings("server: only scheme, name, port and path are expected")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix(PREFIX)}"


def in_the_clear(base: str) -> bool:
    """Return whether others on the way can read the key."""
    parts = urlsplit(base)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def part(name: str) -> str:
    """Return a name as a part of a path."""
    return quote(name, safe="")


def _fault(fault: Any) -> str:
    if not isinstance(fault, dict):
        return str(fault)
    where = [str(each) for each in fault.get("loc", ()) if each not in ("body", "query", "path")]
    text = str(fault.get("msg", ""))
    if fault.get("type") == "string_pattern_mismatch":
        text = next((_FORMS[name] for name in where if name in _FORMS), _NAME)
    if text == "blocked_destination":
        text += " (nothing may be sent there; on the server's machine: hookline check-url)"
    return f"{'.'.join(where)}: {text}" if where else text
