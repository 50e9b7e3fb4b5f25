"""Signatures over the raw body: the guide's header and Standard Webhooks 1.0.

Standard library only: the receiver door loads this room too.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from hookline.errors import InvalidSecret

SECRET_PREFIX = "whsec_"
MIN_KEY, MAX_KEY = 24, 64
"""Bytes of a `whsec_` key: Standard Webhooks 1.0, §Signature scheme."""


def key_bytes(secret: str) -> bytes:
    """Return the Standard Webhooks key of a secret.

    `whsec_` and base64 → the decoded bytes; any other text → its UTF-8 bytes.
    Raises InvalidSecret when `whsec_` is followed by something else than base64.
    """
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    body = secret.removeprefix(SECRET_PREFIX)
    try:
        # Padding is optional on import: 24 bytes need none, other lengths may come without.
        return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidSecret(
            "secret: 'whsec_' must be followed by base64 (standard alphabet); "
            "use any text without that prefix for a plain secret"
        ) from error


def check_secret(secret: str) -> str:
    """Return the secret when it can sign, otherwise raise InvalidSecret with the reason.

    The secret itself is never part of the message.
    """
    if not isinstance(secret, str):
        raise InvalidSecret(f"secret: expected text, got {type(secret).__name__}")
    if not secret:
        raise InvalidSecret("secret: empty; leave it out (None) for an unsigned endpoint")
    if secret != secret.strip():
        raise InvalidSecret("secret: has leading or trailing white space, which is part of the key")
    try:
        secret.encode()
    except UnicodeEncodeError:
        raise InvalidSecret("secret: is not valid Unicode text (lone surrogate)") from None
    if secret.startswith(SECRET_PREFIX) and not MIN_KEY <= len(key_bytes(secret)) <= MAX_KEY:
        raise InvalidSecret(
            f"secret: a whsec_ key has {MIN_KEY} to {MAX_KEY} bytes, "
            f"this one has {len(key_bytes(secret))}"
        )
    return secret


def secret_from(random24: bytes) -> str:
    """Return a new signing secret: `whsec_` and the base64 of 24 random bytes."""
    return SECRET_PREFIX + base64.b64encode(random24).decode()


def guide_signature(secret: str, body: bytes) -> str:
    """Return the guide's `X-Webhook-Signature`: `sha256=<hex>` over the body.

    The key is the secret's text as UTF-8, also for `whsec_` secrets.
    """
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def standard_signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return one `v1,<base64>` item over `id.timestamp.body` (Standard Webhooks 1.0)."""
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()


class Signer:
    """Both signatures of one endpoint, with the keyed hash states prepared once.

    `secrets` holds the active ones, newest first. The guide's header carries one value only and
    stays with the oldest active secret, so that a receiver written from the guide can change its
    key at any time during an overlap; `webhook-signature` carries all of them, newest first.
    """

    __slots__ = ("_guide", "_standard")

    def __init__(self, secrets: Sequence[str]) -> None:
        """Prepare the states; `secrets` must not be empty."""
        self._guide = hmac.new(secrets[-1].encode(), digestmod=hashlib.sha256)
        self._standard = [hmac.new(key_bytes(s), digestmod=hashlib.sha256) for s in secrets]

    def guide(self, body: bytes) -> str:
        """Return the value of `X-Webhook-Signature`."""
        state = self._guide.copy()
        state.update(body)
        return "sha256=" + state.hexdigest()

    def standard(self, message_id: str, timestamp: int, body: bytes) -> str:
        """Return the value of `webhook-signature`: items separated by one space."""
        content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
        items = []
        for keyed in self._standard:
            state = keyed.copy()
            state.update(content)
            items.append("v1," + binascii.b2a_base64(state.digest(), newline=False).decode())
        return " ".join(items)
