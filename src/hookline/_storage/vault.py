"""Secrets at rest: AES-256-GCM, each bound to the column and row it stands in.

A sealed text is `sealed:1:<key id>:<base64 of nonce and ciphertext>`. Without a key, texts are
stored as they are; a plain text that looks sealed gets `plain:` in front, so that nothing an
endpoint is given can pass for something we sealed.
"""

import base64
import binascii
import os
from collections.abc import Sequence
from copy import copy
from typing import Any

from hookline._domain.encryption import EncryptionKey
from hookline.errors import InvalidSettings, SecretsLocked

SEALED, PLAIN = "sealed:1:", "plain:"
NAMED = len(SEALED) + 8
"""Characters of a sealed text that say with which key."""
NONCE = 12
"""Bytes; random ones are safe for 2^32 texts under one key (NIST SP 800-38D, §8.3)."""


class Vault:
    """Seals with the first of its keys and opens with any."""

    def __init__(self, keys: Sequence[EncryptionKey] = ()) -> None:
        """Without keys it stores texts as they are.

        Raises InvalidSettings when `cryptography` is missing.
        """
        self.ids = tuple(key.id for key in keys)
        self.first = self.ids[0] if keys else None
        self._ciphers: dict[str, Any] = {}
        self._mismatch: type[Exception] = ValueError
        if keys:
            try:
                from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - an extra
                from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
            except ImportError as error:
                raise InvalidSettings(
                    f"encryption_key: needs cryptography ({error}); pip install 'hookline[crypto]'"
                ) from None
            self._ciphers = {key.id: AESGCM(key.key) for key in keys}
            self._mismatch = InvalidTag

    def opening(self) -> "Vault":
        """Return one that opens what this one does and stores texts as they are."""
        vault = copy(self)
        vault.first = None
        return vault

    def seal(self, text: str, column: str, row: bytes) -> str:
        """Return what is stored for a text in `column` of the row with the key `row`."""
        if self.first is None:
            return PLAIN + text if text.startswith((SEALED, PLAIN)) else text
        nonce = os.urandom(NONCE)
        sealed = self._ciphers[self.first].encrypt(nonce, text.encode(), _place(column, row))
        return f"{SEALED}{self.first}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, stored: str, column: str, row: bytes) -> str:
        """Return the text again; raise SecretsLocked, saying why, when that cannot be done."""
        if not stored.startswith(SEALED):
            return stored.removeprefix(PLAIN)
        name, _, content = stored[len(SEALED) :].partition(":")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise SecretsLocked(missing([name], self.ids))
        try:
            raw = base64.b64decode(content, validate=True)
            text: str = cipher.decrypt(raw[:NONCE], raw[NONCE:], _place(column, row)).decode()
        except (binascii.Error, ValueError, self._mismatch) as error:
            raise SecretsLocked(
                f"{column} of a row was changed by other means, or moved from another one: it does "
                "not open with its key; give the endpoint its secret or headers anew"
            ) from error
        return text

    def is_current(self, stored: str) -> bool:
        """Return whether this is how the text would be stored today."""
        if self.first is None:
            return not stored.startswith(SEALED)
        return stored.startswith(f"{SEALED}{self.first}:")


def _place(column: str, row: bytes) -> bytes:
    return f"hookline:1:{column}:{row.hex()}".encode()


def missing(wanted: Sequence[str], given: Sequence[str]) -> str:
    """Return what to say when texts are sealed with keys that are not there."""
    has = f"which has {', '.join(given)}" if given else "which is not set"
    keys = "keys" if len(wanted) > 1 else "key"
    return (
        f"secrets in the database are encrypted with the {keys} {', '.join(wanted)}, not in "
        f"HOOKLINE_ENCRYPTION_KEY, {has}: add it there, behind the others"
    )
