"""Text from strangers, made harmless and readable."""

import json
import re
import unicodedata
from collections.abc import Iterator

_JOINERS = frozenset("\u200c\u200d")
"""Invisible, but Persian words and family emoji need them."""

_OPENING = frozenset("{[")
_CLOSING = frozenset("}]")
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def visible(text: str, keep: str = "") -> str:
    r"""Return the text with control, direction and other invisible characters written out.

    An escape sequence could clear the screen or retitle the window, a direction override could
    show one text and mean another: they appear as `\x1b` and `\u202e`. `keep` lists exceptions.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep or _shows(c) else _escaped(c) for c in text)


def _shows(character: str) -> bool:
    category = unicodedata.category(character)
    # C: control, format, surrogate, unassigned; Z: separators, of which spaces (Zs) are fine.
    return category == "Zs" or category[0] not in "CZ" or character in _JOINERS


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


def decoded(header: str) -> str:
    """Return a header's value as UTF-8 where it is; HTTP parsers hand it over as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def indented(text: str, limit: int) -> str | None:
    """Return JSON indented by two, cut soon after `limit` characters; None when it is not JSON.

    Only white space changes: numbers, escapes and the order of keys stay as they came.
    """
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    parts: list[str] = []
    length = 0
    for part in _layout(text):
        parts.append(part)
        length += len(part)
        if length > limit:
            break
    return "".join(parts)


def _layout(text: str) -> Iterator[str]:
    depth = 0
    before = ""
    for piece in (match[0] for match in _PIECE.finditer(text)):
        if piece in _CLOSING:
            depth -= 1
            if before not in _OPENING:  # {} and [] stay in one piece
                yield "\n" + "  " * depth
        elif before in _OPENING or before == ",":
            yield "\n" + "  " * depth
        yield ": " if piece == ":" else piece
        depth += piece in _OPENING
        before = piece
