"""Hostile text made harmless to look at, and JSON made readable without changing a digit."""

import re
import unicodedata
from typing import Any

import orjson
from markupsafe import Markup, escape

SHOWN = 64 << 10
"""Characters of a payload that a page shows; the rest is a download."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s{}\[\],:"]+|[{}\[\],:]')
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def harmless(text: str) -> Markup:
    """Return text as HTML in which what cannot be seen can: controls, marks of direction."""
    parts = []
    for piece in re.split(r"([^\x20-\x7e\n\t\r]+)", text):
        if any(map(is_hidden, piece)):
            parts.append(Markup("").join(map(_shown, piece)))
        else:
            parts.append(escape(piece))
    return Markup("").join(parts)


def is_hidden(character: str) -> bool:
    """Tell whether a character cannot be seen, line ends and tabs left aside."""
    return character not in "\n\t\r" and unicodedata.category(character) in _HIDDEN


def _shown(character: str) -> Markup:
    if not is_hidden(character):
        return escape(character)
    name = unicodedata.name(character, "control character")
    return Markup('<span class="hidden-char" title="{}">U+{}</span>').format(
        name, f"{ord(character):04X}"
    )


def decoded(body: bytes, most: int = SHOWN) -> tuple[str, bool]:
    """Return bytes as text, `most` of them, and whether that is all."""
    return body[:most].decode("utf-8", "replace"), len(body) <= most


def pretty(body: bytes, most: int = SHOWN) -> str | None:
    """Return JSON indented, every number as it was written; None for what is none, or too long."""
    if not body or len(body) > most:
        return None
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return _indented(_TOKEN.findall(body.decode()))


def _indented(tokens: list[str]) -> str:
    out: list[str] = []
    depth = 0
    for number, token in enumerate(tokens):
        after = tokens[number + 1] if number + 1 < len(tokens) else ""
        if token in "{[":
            if after in ("}", "]"):
                out.append(token)
                continue
            depth += 1
            out.append(token + _line(depth))
        elif token in "}]":
            if number and tokens[number - 1] in ("{", "["):
                out.append(token)
                continue
            depth -= 1
            out.append(_line(depth) + token)
        elif token == ",":
            out.append(token + _line(depth))
        else:
            out.append(": " if token == ":" else token)
    return "".join(out)


def _line(depth: int) -> str:
    return "\n" + "  " * min(depth, 60)


def as_json(value: Any) -> str:
    """Return a document indented."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
