"""Ed25519 keys as Standard Webhooks has them: `whsk_` signs, `whpk_` verifies, `v1a` is the item.

What is done with a key needs `cryptography`, which is imported when it is needed; reading one does
not. The receiver door loads this room too.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from hookline._said import Said
from hookline.errors import InvalidSecret

PRIVATE_PREFIX, PUBLIC_PREFIX = "whsk_", "whpk_"
SEED, PAIR, SIGNATURE = 32, 64, 64
"""Bytes of a seed, of a seed with the public key behind it, and of a signature (RFC 8032)."""

_LABEL = b"hookline: HMAC key of an ed25519 key"
_DERIVED = 24
_MOST_ITEMS = 16
"""Verifying costs 100 µs: a stranger's header must not make a receiver do it a thousand times."""


def is_private(secret: str) -> bool:
    """Return whether a secret is a private key, by its prefix."""
    return secret.startswith(PRIVATE_PREFIX)


def is_public(secret: str) -> bool:
    """Return whether a secret is a public key, by its prefix."""
    return secret.startswith(PUBLIC_PREFIX)


def pair(secret: str) -> tuple[bytes, bytes]:
    """Return seed and public key of `whsk_…`, or raise InvalidSecret; `signer` compares them."""
    raw = _decoded(secret, PRIVATE_PREFIX)
    if len(raw) != PAIR:
        raise InvalidSecret(
            Said(
                "secret: a whsk_ key has {wanted} bytes, the seed and the public key behind it; "
                "this one has {count}",
                wanted=PAIR,
                count=len(raw),
            )
        )
    return raw[:SEED], raw[SEED:]


def from_seed(seed: bytes) -> str:
    """Return the `whsk_…` of 32 random bytes. Raises InvalidSecret without `cryptography`."""
    public = _library().Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return PRIVATE_PREFIX + base64.b64encode(seed + public.public_bytes_raw()).decode()


def public_key(secret: str) -> str:
    """Return the `whpk_…` that belongs to a `whsk_…`."""
    return PUBLIC_PREFIX + base64.b64encode(pair(secret)[1]).decode()


def hmac_secret(secret: str) -> str:
    """Return the `whsec_…` that belongs to a `whsk_…`, for receivers that know HMAC only.

    HKDF-SHA256 (RFC 5869): the seed as key material, no salt, a fixed label as info, 24 bytes.
    """
    extracted = hmac.digest(bytes(32), pair(secret)[0], "sha256")
    expanded = hmac.digest(extracted, _LABEL + b"\x01", "sha256")
    return "whsec_" + base64.b64encode(expanded[:_DERIVED]).decode()


def signer(secret: str) -> Callable[[bytes], bytes]:
    """Return what signs with `whsk_…`, or raise InvalidSecret.

    The public key is compared with the seed's: signing with one that does not fit gives the seed
    away.
    """
    seed, public = pair(secret)
    key = _library().Ed25519PrivateKey.from_private_bytes(seed)
    if not hmac.compare_digest(key.public_key().public_bytes_raw(), public):
        raise InvalidSecret(Said("secret: the two halves of this whsk_ key do not belong together"))
    sign: Callable[[bytes], bytes] = key.sign
    return sign


def verifier(public: str) -> Callable[[bytes, bytes], bool]:
    """Return what tells whether a signature fits a content by `whpk_…`, or raise InvalidSecret."""
    raw = _decoded(public, PUBLIC_PREFIX)
    if len(raw) != SEED:
        raise InvalidSecret(
            Said(
                "secret: a whpk_ key has {wanted} bytes, this one has {count}",
                wanted=SEED,
                count=len(raw),
            )
        )
    key = _library().Ed25519PublicKey.from_public_bytes(raw)
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    def fits(signature: bytes, content: bytes) -> bool:
        try:
            key.verify(signature, content)
        except InvalidSignature:
            return False
        return True

    return fits


def any_fits(
    items: Iterable[str], verifiers: Iterable[Callable[[bytes, bytes], bool]], content: bytes
) -> bool:
    """Return whether a `v1a,<base64>` item fits the content by one of the keys."""
    found = [item.removeprefix("v1a,") for item in items if item.startswith("v1a,")]
    signatures = [raw for each in islice(found, _MOST_ITEMS) if (raw := _signature(each))]
    return any(fits(raw, content) for fits in verifiers for raw in signatures)


def _signature(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return raw if len(raw) == SIGNATURE else None


def _decoded(secret: str, prefix: str) -> bytes:
    body = secret.removeprefix(prefix)
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidSecret(
            Said("secret: '{prefix}' must be followed by base64 (standard alphabet)", prefix=prefix)
        ) from error


def _library() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    except ImportError as error:
        raise InvalidSecret(
            Said(
                "secret: ed25519 keys need cryptography ({error}); pip install 'hookline[crypto]'",
                error=str(error),
            )
        ) from error
    return ed25519
