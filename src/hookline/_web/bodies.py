"""JSON that comes in: strictly read, and the bytes of one member as they were sent.

Strict is orjson's reading of RFC 8259: UTF-8 without a BOM, no NaN or Infinity, no comments, no
lone surrogates, no number beyond a double's range; in raw bytes numbers keep every digit. Names at
the top must differ once their escapes are read: readers do not agree on which of two counts.
"""

import re
from typing import Any

import orjson

from hookline._web.errors import BAD_JSON, invalid

MAX_DEPTH = 100
"""Objects and lists inside each other."""

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_KEY = re.compile(rb"[ \t\r\n,{]*+(?:(" + _STRING + rb")[ \t\r\n]*+:[ \t\r\n]*+|\})", re.DOTALL)
_PLAIN = re.compile(_STRING + rb"|[^ \t\r\n,}\]]++", re.DOTALL)
# Up to the next bracket, over everything else, strings whole.
_BRACKET = re.compile(rb"[^\"{}\[\]]*+(?:" + _STRING + rb"[^\"{}\[\]]*+)*+([{}\[\]])", re.DOTALL)


def parse(body: bytes) -> Any:
    """Return what a body says; raise Refused (422) for what is not JSON or nested too deep."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid(("body", str(error.pos)), error.msg, BAD_JSON) from None
    # No document is deeper than it has brackets: nearly all are done with here.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        _check_depth(document)
    return document


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (
                node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
            )
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise invalid(("body",), f"nested deeper than {MAX_DEPTH} levels", BAD_JSON)


def raw_member(body: bytes, name: str, document: Any = None) -> bytes | None:
    """Return the bytes of an object's member, exactly as sent; None when it has none of that name.

    `document` is what `parse` made of the body, where that was done already. Raises Refused (422)
    for a body that is no JSON object, or has a name twice.
    """
    if document is None:
        document = parse(body)
    if not isinstance(document, dict):
        raise invalid(("body",), "expected an object")
    found, count, at = None, 0, 0
    while (key := _next(_KEY, body, at))[1] is not None:
        end = _value_end(body, key.end())
        if orjson.loads(key[1]) == name:
            found = body[key.end() : end]
        count, at = count + 1, end
    if count != len(document):
        raise invalid(("body",), "a name is there twice: which of the two counts is not clear")
    return found


def _value_end(body: bytes, start: int) -> int:
    if body[start : start + 1] not in (b"{", b"["):
        return _next(_PLAIN, body, start).end()
    depth, at = 0, start
    while True:
        bracket = _next(_BRACKET, body, at)
        at = bracket.end()
        depth += 1 if bracket[1] in (b"{", b"[") else -1
        if not depth:
            return at


def _next(what: re.Pattern[bytes], body: bytes, at: int) -> re.Match[bytes]:
    """Return the match at a place; there is one, because the body was parsed before."""
    found = what.match(body, at)
    assert found is not None, "orjson and this file disagree about JSON"  # noqa: S101
    return found
