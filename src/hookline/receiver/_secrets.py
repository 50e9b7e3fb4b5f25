"""Secrets with the usual slips: what key the signature may have been made with."""

import base64
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from hookline._domain.signature import SECRET_PREFIX, check_receiver_secret, key_bytes
from hookline._said import Said
from hookline.errors import InvalidSecret
from hookline.receiver._diagnosis import Cause, both


class Key(NamedTuple):
    """A key, and the slip that lies between it and the secret; None where there is none."""

    key: bytes
    cause: Cause | None
    sentence: str


_INVISIBLE = re.compile("[\ufeff\u200b-\u200f\u2060\u00a0\x00-\x1f\x7f]")
_LINE = re.compile(r"(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*[=:]\s*(.+)", re.DOTALL)

_CLEANED: tuple[tuple[Cause, str, Callable[[str], str]], ...] = (
    (Cause.SECRET_WHITESPACE, Said("the secret has white space around it"), str.strip),
    (
        Cause.SECRET_WHITESPACE,
        Said(r"the secret ends with a written-out \n"),
        lambda s: re.sub(r"(?:\\r)?\\n$", "", s),
    ),
    (
        Cause.SECRET_WHITESPACE,
        Said("the secret has invisible characters in it"),
        lambda s: _INVISIBLE.sub("", s),
    ),
    (
        Cause.SECRET_LINE,
        Said("the secret is a whole line, NAME=value"),
        lambda s: m[1] if (m := _LINE.fullmatch(s)) else s,
    ),
    (Cause.SECRET_QUOTED, Said("the secret has quotes around it"), lambda s: s.strip("\"'`")),
    (Cause.SECRET_PREFIX, Said("the secret has whsec_ twice before it"),
     lambda s: s.removeprefix(SECRET_PREFIX) if s.startswith(SECRET_PREFIX * 2) else s),
    (Cause.SECRET_PREFIX, Said("the secret's whsec_ is not in lower case"),
     lambda s: SECRET_PREFIX + s[6:] if s[:6].lower() == SECRET_PREFIX else s),
    (Cause.SECRET_CASE, Said("the secret was turned into lower case"), str.upper),
    (Cause.SECRET_CASE, Said("the secret was turned into upper case"), str.lower),
)  # fmt: skip
_ADDED = (
    ("\n", Said("the signature was made with a line break at the end of the secret")),
    ("\r\n", Said("the signature was made with CR LF at the end of the secret")),
    (" ", Said("the signature was made with a space at the end of the secret")),
)


def keys(secret: str, scheme: str) -> Iterator[Key]:
    """Yield the keys a secret may stand for, its own first."""
    readings = _standard if scheme == "standard" else _guide
    for text, cause, sentence in _texts(secret):
        for key, slip, how in readings(text):
            yield Key(key, cause or slip, both(sentence, how))
    for end, sentence in _ADDED if _encodable(secret) else ():
        yield Key((secret + end).encode(), Cause.SECRET_WHITESPACE, sentence)


def usable(secret: str) -> bool:
    """Tell whether `verify` takes it as it is."""
    try:
        return bool(check_receiver_secret(secret))
    except InvalidSecret:
        return False


def _texts(secret: str) -> list[tuple[str, Cause | None, str]]:
    """Return the secret, and what it is without each slip, and without several."""
    found: dict[str, tuple[Cause | None, str]] = {secret: (None, "")}
    for cause, sentence, clean in _CLEANED:
        for text, (before, said) in list(found.items()):
            cleaned = clean(text)
            if cleaned and cleaned not in found:
                found[cleaned] = before or cause, both(said, sentence)
    encodable = [text for text in found if _encodable(text)]
    return [(text, *found[text]) for text in encodable]


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _standard(text: str) -> Iterator[tuple[bytes, Cause | None, str]]:
    tail = text.removeprefix(SECRET_PREFIX)
    if tail == text:
        yield text.encode(), None, ""
        for key in _decoded(text):
            yield (
                key,
                Cause.SECRET_PREFIX,
                Said("the secret lacks whsec_ before it, so it was not decoded"),
            )
        yield from _other(text)
        return
    try:
        yield key_bytes(text), None, ""
    except InvalidSecret:
        yield from _other(tail)
    sentence = Said(
        "the signature was made with the text of the secret, not with what its base64 means"
    )
    yield text.encode(), Cause.SECRET_AS_TEXT, sentence
    yield tail.encode(), Cause.SECRET_AS_TEXT, sentence


def _other(text: str) -> Iterator[tuple[bytes, Cause | None, str]]:
    if re.search("[-_]", text):
        for key in _decoded(text.translate(str.maketrans("-_", "+/"))):
            yield (
                key,
                Cause.SECRET_ALPHABET,
                Said("the secret is in the URL-safe alphabet of base64"),
            )
    try:
        yield bytes.fromhex(text), Cause.SECRET_HEX, Said("the secret is in hex")
    except ValueError:
        return


def _decoded(text: str) -> Iterator[bytes]:
    try:
        yield base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return


def _guide(text: str) -> Iterator[tuple[bytes, Cause | None, str]]:
    yield text.encode(), None, ""
    tail = text.removeprefix(SECRET_PREFIX)
    if tail != text:
        yield (
            tail.encode(),
            Cause.SECRET_PREFIX,
            Said("the signature was made without the secret's whsec_"),
        )
    else:
        whole = (SECRET_PREFIX + text).encode()
        yield whole, Cause.SECRET_PREFIX, Said("the secret lacks whsec_ before it")
    for key in _decoded(tail):
        yield key, Cause.SECRET_DECODED, Said("the signature was made with the decoded secret")
    for key, cause, sentence in _other(tail):
        yield key, cause, sentence
