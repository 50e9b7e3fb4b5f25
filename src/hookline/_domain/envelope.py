"""The body of a webhook: the guide's envelope, serialised once and stored as bytes.

Key order `event`, `data`, `timestamp`, `metadata`; compact UTF-8 with non-ASCII as itself. What
JSON cannot carry faithfully is refused here, with the path of the value, before anything is
written.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson

from hookline._said import Said
from hookline.errors import InvalidPayload, PayloadTooLarge

MAX_DEPTH = 100
MAX_INTEGER_BITS = 4096
SAFE_INTEGER = 2**53
"""Integers beyond this lose digits in JavaScript (RFC 8259 §6)."""
ADVISED_SIZE = 20_000
"""Bytes: the recommendation of Standard Webhooks 1.0, §Payload size."""
EXPRESS_SIZE = 102_400
"""Bytes: Express's `raw()` answers 413 above this unless told otherwise."""

_PLAIN = (
    orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
"""With these, orjson writes what `_plain` would, and refuses what that converts, warns of or
refuses; but NaN becomes null, and nesting may be deeper."""

# A path is a linked list of keys, so that the good case pays one small tuple per container.
_Path = tuple["_Path | None", str | int]


@dataclasses.dataclass(frozen=True, slots=True)
class Body:
    """A serialised envelope.

    `digest` is over event, data and metadata without the timestamp: what an idempotency key
    stands for. `notes` are warnings worth a log line.
    """

    content: bytes
    digest: bytes
    notes: tuple[str, ...]


def envelope(
    event: str, data: Any, timestamp: int, metadata: Any = None, *, limit: int = 1 << 20
) -> Body:
    """Return the body of one event; `timestamp` in Unix milliseconds, `limit` in bytes.

    Raises InvalidPayload with the path of a value that JSON cannot carry, PayloadTooLarge above
    the limit.
    """
    notes: list[str] = []
    event_json = orjson.dumps(event)
    data_json = _document(data, "data", notes)
    pieces = [b'{"event":', event_json, b',"data":', data_json]
    pieces += [b',"timestamp":"', iso(timestamp).encode(), b'"']
    metadata_json = b""
    if metadata is not None:
        metadata_json = _document(metadata, "metadata", notes)
        pieces += [b',"metadata":', metadata_json]
    pieces.append(b"}")
    content = b"".join(pieces)
    _check_size(len(content), limit, notes)
    digest = sha256(b"\0".join((event_json, data_json, metadata_json))).digest()
    return Body(content, digest, tuple(notes))


def as_it_is(event: str, content: bytes, *, limit: int = 1 << 20) -> Body:
    """Return the body of an event that is made already: a JSON object, sent byte for byte.

    Raises InvalidPayload, or PayloadTooLarge above `limit` bytes.
    """
    notes: list[str] = []
    _check_size(len(content), limit, notes)
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload(f"payload: is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise InvalidPayload(f"payload: expected an object, got {type(parsed).__name__}")
    return Body(content, sha256(b"\0".join((event.encode(), content))).digest(), tuple(notes))


def plain(value: Any, name: str) -> Any:
    """Return a value made of what JSON has only. Raises InvalidPayload with the path of another."""
    return _plain(value, (None, name), 0, [])


def iso(milliseconds: int) -> str:
    """Return Unix milliseconds as `2025-10-17T10:30:00.000Z`."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def _check_size(size: int, limit: int, notes: list[str]) -> None:
    if size > limit:
        raise PayloadTooLarge(
            Said(
                "payload: {size:,} bytes, at most {limit:,} are accepted (payload_limit); send "
                "a reference and let the receiver fetch the rest",
                size=size,
                limit=limit,
            )
        )
    if size > EXPRESS_SIZE:
        notes.append(f"payload: {size:,} bytes; Express receivers refuse more than 102,400")
    elif size > ADVISED_SIZE:
        notes.append(f"payload: {size:,} bytes; Standard Webhooks advises at most 20,000")


def _document(value: Any, name: str, notes: list[str]) -> bytes:
    """Return the JSON of `data` or `metadata`, which must be an object."""
    if type(value) is dict:
        try:
            quick = orjson.dumps(value, option=_PLAIN)
        except TypeError:
            pass  # the long way converts it, or finds out what is wrong and where
        else:
            nested = quick.count(b"{") + quick.count(b"[") > MAX_DEPTH
            if b"null" not in quick and not nested:
                return quick
    root: _Path = (None, name)
    huge: list[_Path] = []
    plain = _plain(value, root, 0, huge)
    if not isinstance(plain, dict):
        raise InvalidPayload(
            Said(
                "{name}: expected an object (a dict, a pydantic model or a dataclass), got {kind}",
                name=name,
                kind=type(value).__name__,
            )
        )
    for path in huge:
        notes.append(f"{_text(path)}: integers beyond 2^53 lose digits in JavaScript; send text")
    try:
        return orjson.dumps(plain)
    except TypeError as error:
        if "64-bit" in str(error):  # orjson stops there, JSON does not
            return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()
        raise InvalidPayload(f"{name}: {error}") from error


def _plain(value: Any, path: _Path, depth: int, huge: list[_Path]) -> Any:
    """Return the value made of dict, list, str, int, float, bool and None only."""
    kind = type(value)
    if kind is str:
        return _string(value, path)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if -SAFE_INTEGER <= value <= SAFE_INTEGER else _large(value, path, huge)
    if kind is float:
        if not math.isfinite(value):
            raise InvalidPayload(f"{_text(path)}: JSON has no {value}; send null or text")
        return value
    if depth >= MAX_DEPTH:
        raise InvalidPayload(
            Said(
                "{path}…: nested deeper than {most} levels (or contains itself)",
                path=_text(path)[:200],
                most=MAX_DEPTH,
            )
        )
    if kind is dict:
        return _object(value, path, depth, huge)
    if kind is list or kind is tuple:
        return [_plain(item, (path, i), depth + 1, huge) for i, item in enumerate(value)]
    return _special(value, path, depth, huge)


def _large(value: int, path: _Path, huge: list[_Path]) -> int:
    if value.bit_length() > MAX_INTEGER_BITS:
        raise InvalidPayload(
            Said(
                "{path}: an integer of {bits} bits; send text",
                path=_text(path),
                bits=value.bit_length(),
            )
        )
    huge.append(path)
    return value


def _string(value: str, path: _Path) -> str:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidPayload(
            f"{_text(path)}: the text has a lone surrogate, which UTF-8 cannot carry"
        ) from None
    return value


def _object(value: Mapping[Any, Any], path: _Path, depth: int, huge: list[_Path]) -> dict[str, Any]:
    plain = {}
    for key, item in value.items():
        name = key
        if type(key) is not str:
            name = key.value if isinstance(key, Enum) else key
            if not isinstance(name, str):
                raise InvalidPayload(
                    f"{_text(path)}: the key {key!r} is {type(key).__name__}; "
                    "keys of JSON objects are text"
                )
            name = str(name)
        plain[_string(name, path)] = _plain(item, (path, name), depth + 1, huge)
    return plain


def _special(  # noqa: C901 - one line per accepted type
    value: Any, path: _Path, depth: int, huge: list[_Path]
) -> Any:
    """Return the JSON form of the accepted Python types, or raise with the path."""
    if isinstance(value, Enum):
        return _plain(value.value, path, depth + 1, huge)
    if isinstance(value, datetime | date | time):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise InvalidPayload(f"{_text(path)}: JSON has no {value}; send null or text")
        return str(value)
    for base in (str, bool, int, float):
        if isinstance(value, base):
            return _plain(base(value), path, depth + 1, huge)
    if hasattr(value, "model_dump") and not isinstance(value, type):  # a pydantic model
        return _plain(_dumped(value, path), path, depth + 1, huge)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return _object(fields, path, depth, huge)
    if isinstance(value, Mapping):
        return _object(value, path, depth, huge)
    if isinstance(value, list | tuple):
        return _plain(list(value), path, depth + 1, huge)
    raise InvalidPayload(
        f"{_text(path)}: {type(value).__name__} has no JSON form here; accepted are dict, list, "
        "text, numbers, booleans, None, datetime, date, time, Decimal, UUID, Enum, pydantic "
        "models and dataclasses"
    )


def _dumped(model: Any, path: _Path) -> Any:
    try:
        return model.model_dump(mode="json")
    except Exception as error:  # whatever a serializer of the model raises
        raise InvalidPayload(
            f"{_text(path)}: {type(model).__name__} cannot be dumped as JSON: {error}"
        ) from error


def _text(path: _Path) -> str:
    """Return `data.items[3].price` for error messages."""
    parts: list[str] = []
    link: _Path | None = path
    while link is not None:
        link, key = link
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    return "".join(reversed(parts)).removeprefix(".")
