"""Signatures over the raw body: the guide's header, Standard Webhooks 1.0, and what others use.

Standard library only, unless a key is ed25519: the receiver door loads this room too.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from hookline._domain import ed25519
from hookline._said import Said
from hookline.errors import InvalidSecret

SecretKind: TypeAlias = Literal["hmac", "ed25519"]
SECRET_PREFIX = "whsec_"
MIN_KEY, MAX_KEY = 24, 64
"""Bytes of a `whsec_` key: Standard Webhooks 1.0, §Signature scheme."""
DEFAULT_FORMS = ("guide", "standard")
"""What an endpoint gets that says nothing else; all of them are in `_domain/forms.py`."""


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
            Said(
                "secret: 'whsec_' must be followed by base64 (standard alphabet); use any text "
                "without that prefix for a plain secret"
            )
        ) from error


def check_secret(secret: str) -> str:
    """Return the secret when it can sign, otherwise raise InvalidSecret with the reason.

    The secret itself is never part of the message. `whsk_` is an ed25519 key, which needs
    `cryptography`.
    """
    _check_text(secret)
    if ed25519.is_public(secret):
        raise InvalidSecret(
            Said("secret: whpk_ is a public key, which cannot sign; give the whsk_ one")
        )
    if ed25519.is_private(secret):
        ed25519.signer(secret)
    return secret


def check_receiver_secret(secret: str) -> str:
    """Return the secret when a receiver can verify with it, otherwise raise InvalidSecret.

    `whpk_` is an ed25519 key, which needs `cryptography`.
    """
    _check_text(secret)
    if ed25519.is_private(secret):
        raise InvalidSecret(
            "secret: whsk_ is the sender's private key; a receiver has its public "
            "one, whpk_…, or the whsec_… derived from it (Endpoint.public_key and "
            "Endpoint.hmac_secret)"
        )
    if ed25519.is_public(secret):
        ed25519.verifier(secret)
    return secret


def _check_text(secret: str) -> None:
    if not isinstance(secret, str):
        raise InvalidSecret(Said("secret: expected text, got {got}", got=type(secret).__name__))
    if not secret:
        raise InvalidSecret(Said("secret: empty; leave it out (None) for an unsigned endpoint"))
    if secret != secret.strip():
        raise InvalidSecret(
            Said("secret: has leading or trailing white space, which is part of the key")
        )
    try:
        secret.encode()
    except UnicodeEncodeError:
        raise InvalidSecret(Said("secret: is not valid Unicode text (lone surrogate)")) from None
    if secret.startswith(SECRET_PREFIX) and not MIN_KEY <= len(key_bytes(secret)) <= MAX_KEY:
        raise InvalidSecret(
            Said(
                "secret: a whsec_ key has {least} to {most} bytes, this one has {count}",
                least=MIN_KEY,
                most=MAX_KEY,
                count=len(key_bytes(secret)),
            )
        )


def kind_of(secret: str | None) -> SecretKind:
    """Return the kind of a secret; "hmac" where there is none yet."""
    return "ed25519" if secret is not None and ed25519.is_private(secret) else "hmac"


def hmac_secret(secret: str) -> str:
    """Return the secret that HMAC forms use: itself, or the one derived from an ed25519 key."""
    return ed25519.hmac_secret(secret) if ed25519.is_private(secret) else secret


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


_Item = Callable[[bytes], str]


class Signer:
    """The signatures of one endpoint, in the forms it wants, with all keys prepared once.

    `secrets` holds the active ones, newest first. A header that has room for one value stays with
    the oldest of them, so that a receiver can change its key at any time during an overlap; one
    that carries several has all of them, newest first.

    Of an ed25519 key, HMAC forms use the secret derived from it, and `standard` and `svix` carry
    `v1` beside `v1a`, for receivers that know no other. The form `ed25519` leaves that `v1` out.
    """

    __slots__ = ("_items", "_oldest", "_texts", "_writers")

    def __init__(self, secrets: Sequence[str], forms: Sequence[str] = DEFAULT_FORMS) -> None:
        """Prepare the keys; neither may be empty. Raises InvalidSecret without `cryptography`."""
        texts = [hmac_secret(secret) for secret in secrets]
        self._oldest = _keyed(texts[-1].encode())
        self._texts = [_keyed(text.encode()) for text in texts] if "stripe" in forms else []
        self._items = [item for s in secrets for item in _items(s, derived="ed25519" not in forms)]
        self._writers = [getattr(self, f"_{form}_lines") for form in forms]

    def lines(self, message_id: str, timestamp: int, body: bytes) -> list[str]:
        """Return the header lines of one attempt; `timestamp` in Unix seconds."""
        lines: list[str] = []
        for write in self._writers:
            lines += write(message_id, timestamp, body)
        return lines

    def guide(self, body: bytes) -> str:
        """Return the value of `X-Webhook-Signature`; GitHub's is the same."""
        return "sha256=" + self._oldest(body).hexdigest()

    def standard(self, message_id: str, timestamp: int, body: bytes) -> str:
        """Return the value of `webhook-signature`: items separated by one space."""
        content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
        return " ".join([item(content) for item in self._items])

    def stripe(self, timestamp: int, body: bytes) -> str:
        """Return the value of `Stripe-Signature`: `t=…,v1=<hex>` over `timestamp.body`."""
        content = b"%d.%b" % (timestamp, body)
        return f"t={timestamp}" + "".join(
            f",v1={text(content).hexdigest()}" for text in self._texts
        )

    def slack(self, timestamp: int, body: bytes) -> str:
        """Return the value of `X-Slack-Signature`: `v0=<hex>` over `v0:timestamp:body`."""
        return "v0=" + self._oldest(b"v0:%d:%b" % (timestamp, body)).hexdigest()

    def shopify(self, body: bytes) -> str:
        """Return the value of `X-Shopify-Hmac-Sha256`: base64 over the body."""
        return _base64(self._oldest(body).digest())

    def _guide_lines(self, _id: str, _at: int, body: bytes) -> list[str]:
        return [f"X-Webhook-Signature: {self.guide(body)}"]

    def _standard_lines(self, message_id: str, at: int, body: bytes) -> list[str]:
        return [f"webhook-signature: {self.standard(message_id, at, body)}"]

    _ed25519_lines = _standard_lines

    def _svix_lines(self, message_id: str, at: int, body: bytes) -> list[str]:
        signature = self.standard(message_id, at, body)
        return [f"svix-id: {message_id}", f"svix-timestamp: {at}", f"svix-signature: {signature}"]

    def _github_lines(self, _id: str, _at: int, body: bytes) -> list[str]:
        return [f"X-Hub-Signature-256: {self.guide(body)}"]

    def _stripe_lines(self, _id: str, at: int, body: bytes) -> list[str]:
        return [f"Stripe-Signature: {self.stripe(at, body)}"]

    def _slack_lines(self, _id: str, at: int, body: bytes) -> list[str]:
        return [f"X-Slack-Request-Timestamp: {at}", f"X-Slack-Signature: {self.slack(at, body)}"]

    def _shopify_lines(self, _id: str, _at: int, body: bytes) -> list[str]:
        return [f"X-Shopify-Hmac-Sha256: {self.shopify(body)}"]


_BLOCK = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def _keyed(key: bytes) -> Callable[[bytes], "hashlib._Hash"]:
    """Return HMAC-SHA256 of one key, as the hash object at its end (RFC 2104 §4).

    Both halves of the key are hashed once, here: an attempt takes two thirds of the time that
    `hmac.new(…).copy()` would.
    """
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    inside, outside = (hashlib.sha256(block.translate(pad)) for pad in (_INNER, _OUTER))

    def digest(content: bytes) -> "hashlib._Hash":
        inner, outer = inside.copy(), outside.copy()
        inner.update(content)
        outer.update(inner.digest())
        return outer

    return digest


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode()


def _items(secret: str, *, derived: bool) -> list[_Item]:
    """Return what makes the items of one secret; `derived` adds `v1` to an ed25519 key's."""
    if not ed25519.is_private(secret):
        return [_v1(key_bytes(secret))]
    sign = ed25519.signer(secret)
    own: list[_Item] = [lambda content: "v1a," + _base64(sign(content))]
    return [_v1(key_bytes(hmac_secret(secret))), *own] if derived else own


def _v1(key: bytes) -> _Item:
    keyed = _keyed(key)
    return lambda content: "v1," + _base64(keyed(content).digest())
