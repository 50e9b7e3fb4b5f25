"""Identifiers: 16 time-ordered bytes in the database, `msg_…` with 27 characters outside.

The bytes are a UUIDv7 (RFC 9562 §5.7). The text appends a CRC-32 over prefix and bytes, which
fills 27 base62 characters exactly, keeps the order of time, and refuses a mistyped id or one of
another kind before any query.
"""

from zlib import crc32

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LENGTH = 27

APPLICATION = "app_"
ENDPOINT = "ep_"
MESSAGE = "msg_"
ATTEMPT = "atmpt_"
JOB = "job_"
API_KEY = "key_"
AUDIT = "audit_"

_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
_VALUES = {c: i for i, c in enumerate(ALPHABET)}
_PAIR = len(_PAIRS)


COUNTER_BITS, RANDOM_BITS = 20, 54


def uuid7(milliseconds: int, counter: int, random: int) -> bytes:
    """Return the 16 bytes of a UUIDv7 from Unix milliseconds, a counter and random bits.

    The counter (20 bits) follows the time and orders what one process makes in one millisecond
    (RFC 9562 §6.2, method 1); `random` has 54 bits.
    """
    high = (milliseconds << 16) | (0x7 << 12) | (counter >> 8)
    low = (0x2 << 62) | ((counter & 0xFF) << RANDOM_BITS) | random
    return ((high << 64) | low).to_bytes(16)


def encode(prefix: str, key: bytes) -> str:
    """Return the public text of a 16-byte key: prefix and 27 base62 characters."""
    number = int.from_bytes(key + crc32(key, crc32(prefix.encode())).to_bytes(4))
    pairs = []
    for _ in range(13):
        number, rest = divmod(number, _PAIR)
        pairs.append(_PAIRS[rest])
    pairs.append(ALPHABET[number])
    pairs.reverse()
    return prefix + "".join(pairs)


def decode(prefix: str, text: str) -> bytes | None:
    """Return the 16-byte key of a public id, or None when it is not one of this kind."""
    body = text[len(prefix) :]
    if not text.startswith(prefix) or len(body) != LENGTH:
        return None
    number = 0
    for character in body:
        value = _VALUES.get(character)
        if value is None:
            return None
        number = number * 62 + value
    if number >> 160:
        return None
    raw = number.to_bytes(20)
    key = raw[:16]
    if raw[16:] != crc32(key, crc32(prefix.encode())).to_bytes(4):
        return None
    return key


def milliseconds(key: bytes) -> int:
    """Return the Unix milliseconds inside a UUIDv7."""
    return int.from_bytes(key[:6])
