"""What was done to a body: the first thing that differs between what was sent and what arrived."""

import json
import re
import unicodedata
from typing import Any, TypeAlias

from hookline._said import Said
from hookline.receiver._bodies import BOM, TOKEN, Number, Object, read_tree, undone
from hookline.receiver._diagnosis import Cause

Named: TypeAlias = tuple[Cause, Said]
EMPTY = Said("the body is empty: something read it before it was verified")


def difference(sent: bytes, came: bytes) -> Named:
    """Say what was done to the body that was sent; the two must differ."""
    if not came:
        return Cause.BODY_EMPTY, EMPTY
    for each, before in undone(came):
        if before == sent:
            return each.cause, Said("the body is not as it was sent: {how}", how=each.sentence)
    try:
        return _json_difference(sent, came)
    except (ValueError, RecursionError):
        pass
    if sent.startswith(came):
        return Cause.BODY_TRUNCATED, Said(
            "the body ends after {came} of {sent} bytes", came=len(came), sent=len(sent)
        )
    at = next((n for n, (a, b) in enumerate(zip(sent, came, strict=False)) if a != b), len(sent))
    return Cause.BODY_CHANGED, Said(
        "the body was changed from byte {at} on: {came} came where {sent} was sent",
        at=at,
        came=_show(came[at : at + 12]),
        sent=_show(sent[at : at + 12]),
    )


def _show(part: bytes) -> str:
    return repr(part.decode(errors="backslashreplace"))


def _json_difference(sent: bytes, came: bytes) -> Named:
    before, after = read_tree(sent.removeprefix(BOM)), read_tree(came.removeprefix(BOM))
    found = _first(before, after, "")
    if found:
        return found
    old, new = TOKEN.findall(sent.decode()), TOKEN.findall(came.decode())
    for was, now in zip(old, new, strict=False):
        if was != now:
            return Cause.BODY_ESCAPES, _written_anew(_cut(now, was), _cut(was, now))
    return Cause.BODY_REFORMATTED, _written_anew(_layout(came), _layout(sent))


def _written_anew(came: str, sent: str) -> Said:
    return Said(
        "the JSON was parsed and written anew: {came} came where {sent} was sent",
        came=came,
        sent=sent,
    )


def _layout(raw: bytes) -> Said:
    text = raw.decode()
    if "\n" in text.strip():
        return Said("a form of several lines")
    compact = "".join(TOKEN.findall(text)) == text.strip()
    return Said("a compact line") if compact else Said("a line with spaces")


def _cut(text: str, other: str) -> str:
    """Return a string's spelling around where it differs from the other."""
    at = next((n for n, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), 0)
    start = max(0, at - 8)
    part = text[start : at + 8]
    return f"{'…' if start else ''}{part}{'…' if at + 8 < len(text) else ''}"


def _first(sent: Any, came: Any, path: str) -> Named | None:
    """Return the first difference of two trees, depth first."""
    if type(sent) is not type(came):
        return Cause.BODY_VALUES, _instead(path, _kind(came), _kind(sent))
    if isinstance(sent, Object):
        return _first_of_objects(sent, came, path)
    if isinstance(sent, list):
        for at, (was, now) in enumerate(zip(sent, came, strict=False)):
            if found := _first(was, now, f"{path}[{at}]"):
                return found
        if len(sent) != len(came):
            return Cause.BODY_VALUES, Said(
                "{place}: {came} items came where {sent} were sent",
                place=_place(path),
                came=len(came),
                sent=len(sent),
            )
        return None
    if sent == came:
        return None
    if isinstance(sent, Number):
        return Cause.BODY_NUMBERS, _instead(path, came, sent)
    if isinstance(sent, str) and unicodedata.normalize("NFC", sent) == unicodedata.normalize(
        "NFC", came
    ):
        return Cause.BODY_CHARSET, Said(
            "{place}: its text was normalised as Unicode", place=_place(path)
        )
    lost = isinstance(sent, str) and not sent.isascii() and re.search("[?\ufffd]", came)
    cause = Cause.BODY_CHARSET if lost else Cause.BODY_VALUES
    return cause, _instead(path, _value(came), _value(sent))


def _instead(path: str, came: str, sent: str) -> Said:
    return Said(
        "{place}: {came} came where {sent} was sent", place=_place(path), came=came, sent=sent
    )


def _first_of_objects(sent: Object, came: Object, path: str) -> Named | None:
    old, new = [name for name, _ in sent], [name for name, _ in came]
    if gone := [name for name in old if name not in new]:
        return Cause.BODY_VALUES, Said("{place}: is missing", place=_place(_join(path, gone[0])))
    if more := [name for name in new if name not in old]:
        return Cause.BODY_VALUES, Said("{place}: was added", place=_place(_join(path, more[0])))
    if len(old) != len(new):
        return Cause.BODY_VALUES, Said(
            "{place}: a name that was sent twice came once", place=_place(path)
        )
    if old != new:
        was = next(name for name, other in zip(old, new, strict=True) if name != other)
        return Cause.BODY_KEY_ORDER, Said(
            "{place}: the names came in another order{how}; {was!r} was sent before {other!r}",
            place=_place(path),
            how=Said(", sorted") if new == sorted(new) else "",
            was=was,
            other=new[old.index(was)],
        )
    for (name, was), (_, now) in zip(sent, came, strict=True):
        if found := _first(was, now, _join(path, name)):
            return found
    return None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _place(path: str) -> str:
    return path or Said("the body")


def _kind(value: Any) -> str:
    if isinstance(value, Number):
        return Said("the number {number}", number=value)
    if isinstance(value, Object):
        return Said("an object")
    return _value(value)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return Said("a list")
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "…"  # noqa: PLR2004
