"""The keys that encrypt secrets at rest: their text form, and how one is named.

What is sealed names its key, so that a key that is missing can be asked for by name.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from hookline.errors import InvalidInput

KEY_BYTES = 32
ID_LENGTH = 8


class EncryptionKey(NamedTuple):
    """One AES-256 key and its name: eight hex digits that tell nothing about the key."""

    id: str
    key: bytes

    def __repr__(self) -> str:
        return f"EncryptionKey({self.id})"


def parse_keys(texts: Iterable[str]) -> tuple[EncryptionKey, ...]:
    """Return the keys of a setting, each the base64 of 32 bytes, in either alphabet.

    Raises InvalidInput with the position, never with the text.
    """
    keys: dict[str, EncryptionKey] = {}
    for position, text in enumerate(texts, 1):
        key = _parse(text, position)
        name = hashlib.sha256(b"hookline encryption key\0" + key).hexdigest()[:ID_LENGTH]
        if name in keys:
            raise InvalidInput(f"encryption_key: key {position} is given twice")
        keys[name] = EncryptionKey(name, key)
    return tuple(keys.values())


def _parse(text: str, position: int) -> bytes:
    standard = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        key = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(
            f"encryption_key: key {position} is not base64; make one with: hookline keys generate"
        ) from None
    if len(key) != KEY_BYTES:
        raise InvalidInput(
            f"encryption_key: key {position} has {len(key)} bytes, expected {KEY_BYTES}; "
            "make one with: hookline keys generate"
        )
    return key


def key_text(random32: bytes) -> str:
    """Return a new key as the setting takes it."""
    return base64.urlsafe_b64encode(random32).decode()
