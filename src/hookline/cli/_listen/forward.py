"""Handing a message to a local program, signed as an endpoint's webhooks are.

Once: nothing is tried again. The target is the developer's own choice, so there is no guard; no
proxy and no redirect either.
"""

import http.client
import ssl
import time
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from hookline import Message
from hookline._domain import forms, ids
from hookline._domain.endpoint import SigningSecret, Target
from hookline._domain.signature import DEFAULT_FORMS, check_secret
from hookline._engine.attempt import sign
from hookline._ports import Leased
from hookline.errors import InvalidUrl

KEPT = 4096
"""Bytes of an answer that are looked at."""


class Answered(NamedTuple):
    """What came back: a status, or why there was none."""

    status: int | None
    reason: str
    body: bytes
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether it was a success: 200 to 299."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004


class Forwarder:
    """Where messages go on this machine, and how they are signed."""

    def __init__(
        self, url: str, secret: str, signatures: Sequence[str] | None, timeout: float
    ) -> None:
        """`timeout` in seconds. Raises InvalidUrl, InvalidSecret or InvalidInput."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise InvalidUrl(f"forward: {url!r} is not of the form http://localhost:3000/hook")
        chosen = DEFAULT_FORMS if not signatures else forms.parse(list(signatures))
        forms.check(chosen, check_secret(secret))
        self.url = url
        self._secure = parts.scheme == "https"
        self._place = (parts.hostname, port)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout = timeout
        self._target = Target(
            key=b"", revision=0, url=url, secrets=(SigningSecret(secret),), signatures=chosen
        )

    def send(self, message: Message) -> Answered:
        """Send a message, and return what came back."""
        began = time.monotonic()
        connection = self._connection()
        try:
            connection.request("POST", self._path, message.body, self._headers(message))
            answer = connection.getresponse()
            body = answer.read(KEPT)
        except (OSError, http.client.HTTPException) as error:
            text = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return Answered(None, text, b"", time.monotonic() - began)
        finally:
            connection.close()
        return Answered(answer.status, answer.reason, body, time.monotonic() - began)

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._place
        if not self._secure:
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=context)

    def _headers(self, message: Message) -> dict[str, str]:
        """Return the headers that an endpoint's first attempt has."""
        key = ids.decode(ids.MESSAGE, message.id) or b""
        leased = Leased(key, message.event_type, message.body, self._target, lease=0)
        lines = sign(leased, message.body, time.time_ns() // 1_000_000)
        pairs = (line.partition(":") for line in lines)
        return {name: value.strip() for name, _, value in pairs if value.strip()}
