"""Reading webhooks.json: shape and types, each fault with its position."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hookline.errors import InvalidWebhooksFile

MAX_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Declaration:
    """One entry of the file, its types checked; what it says is checked like `register`'s."""

    position: int
    url: str
    events: list[str]
    secret: str | None = field(default=None, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    options: dict[str, Any] = field(default_factory=dict, repr=False)


def read(path: Path) -> list[Declaration] | None:
    """Return the entries of a webhooks file, None when there is no such file.

    Raises InvalidWebhooksFile with file, position and reason.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidWebhooksFile(f"{path}: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise InvalidWebhooksFile(f"{path}: {len(content):,} bytes, at most {MAX_BYTES:,}")
    try:
        document = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise InvalidWebhooksFile(f"{path}: byte {error.start}: is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidWebhooksFile(
            f"{path}: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except _RepeatedKeyError as error:
        raise InvalidWebhooksFile(f"{path}: the key {error.args[0]!r} is given twice") from None
    except RecursionError:
        raise InvalidWebhooksFile(f"{path}: nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise InvalidWebhooksFile(f"{path}: {error}") from None
    return _entries(path, document)


class _RepeatedKeyError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedKeyError(next(name for name in names if names.count(name) > 1))
    return found


def _entries(path: Path, document: Any) -> list[Declaration]:
    if not isinstance(document, dict) or not isinstance(document.get("webhooks"), list):
        raise InvalidWebhooksFile(f'{path}: expected {{"webhooks": [ … ]}}')
    return [_entry(path, i, item) for i, item in enumerate(document["webhooks"])]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


_SHAPES: dict[str, tuple[str, Any]] = {
    "url": ("text", lambda v: isinstance(v, str)),
    "events": ("a list of event types", _is_texts),
    "secret": ("text", _is_text_or_none),
    "headers": (
        "an object of texts",
        lambda v: isinstance(v, dict) and all(isinstance(item, str) for item in v.values()),
    ),
    "description": ("text", lambda v: isinstance(v, str)),
    "retry_schedule": (
        "a list of seconds",
        lambda v: v is None or (isinstance(v, list) and all(map(_is_number, v))),
    ),
    "timeout": ("a number of seconds", lambda v: v is None or _is_number(v)),
    "concurrency": (
        "a whole number",
        lambda v: v is None or (isinstance(v, int) and not isinstance(v, bool)),
    ),
    "ordered": ("true or false", lambda v: isinstance(v, bool)),
    "rate_limit": ("a number per second", lambda v: v is None or _is_number(v)),
    "allowed_networks": ("a list of networks", lambda v: v is None or _is_texts(v)),
    "signatures": ("a list of signature forms", lambda v: v is None or _is_texts(v)),
    "ca": ("text", _is_text_or_none),
    "client_certificate": ("text", _is_text_or_none),
    "client_key": ("text", _is_text_or_none),
    "oauth2": ("an object", lambda v: v is None or isinstance(v, dict)),
    "http2": ("true or false", lambda v: isinstance(v, bool)),
    "proxy": ("text", _is_text_or_none),
    "handshake": ("text", lambda v: v is None or isinstance(v, str)),
    "filter": ("text", _is_text_or_none),
    "transform": ("text", _is_text_or_none),
}


def misshapen(name: str, value: Any) -> str | None:
    """Return what was expected of an endpoint's field, None when the value has its shape."""
    expected, fits = _SHAPES.get(name, ("", lambda _: True))
    return None if fits(value) else f"expected {expected}, got {type(value).__name__}"


def _entry(path: Path, position: int, item: Any) -> Declaration:
    where = f"{path}: webhooks[{position}]"
    if not isinstance(item, dict):
        raise InvalidWebhooksFile(f"{where}: expected an object, got {type(item).__name__}")
    for name in ("url", "events"):
        if name not in item:
            raise InvalidWebhooksFile(f"{where}: {name!r} is missing")
    for name, value in item.items():
        if name not in _SHAPES:
            raise InvalidWebhooksFile(
                f"{where}: unknown key {name!r}; known are {', '.join(_SHAPES)}"
            )
        expected, fits = _SHAPES[name]
        if not fits(value):
            raise InvalidWebhooksFile(
                f"{where}.{name}: expected {expected}, got {type(value).__name__}"
            )
    own = {name: item[name] for name in ("url", "events", "secret", "headers") if name in item}
    options = {name: value for name, value in item.items() if name not in own}
    return Declaration(position=position, options=options, **own)
