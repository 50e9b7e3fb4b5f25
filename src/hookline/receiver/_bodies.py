"""Bodies that something on the way has changed: what they may have been.

`originals` guesses; whether a guess is right, its signature tells.
"""

import base64
import binascii
import html
import json
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, permutations, product
from typing import Any, NamedTuple
from urllib.parse import quote_plus, unquote_plus, unquote_to_bytes

from hookline._said import Said
from hookline.receiver._diagnosis import Cause

MAX_UNPACKED = 8 * 1024 * 1024
BOM = b"\xef\xbb\xbf"
MAX_DEPTH = 200
MANY = 500
"""Numbers in a body; with more of them none is guessed at."""


# Whole bodies ------------------------------------------------------------------------------------


class Undo(NamedTuple):
    """One way back from what arrived, and what it is called."""

    cause: Cause
    sentence: str
    undo: Callable[[bytes], bytes | None]


def _text(change: Callable[[str], str | None]) -> Callable[[bytes], bytes | None]:
    def undo(raw: bytes) -> bytes | None:
        changed = change(raw.decode())
        return None if changed is None else changed.encode()

    return undo


def _base64(raw: bytes) -> bytes:
    text = raw.strip().strip(b'"').translate(bytes.maketrans(b"-_", b"+/"))
    return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)


def _unzip(raw: bytes) -> bytes | None:
    if raw[:2] != b"\x1f\x8b" and raw[:1] != b"\x78":
        return None
    return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(raw, MAX_UNPACKED)


def _field(text: str) -> str | None:
    name, equals, value = text.partition("=")
    return unquote_plus(value) if equals and re.fullmatch(r"\w{1,40}", name) else None


def _inside(raw: bytes) -> bytes | None:
    """Return the body inside a gateway's message: AWS's proxy integration and its like."""
    message = json.loads(raw)
    if not isinstance(message, dict):
        return None
    for name in ("body", "rawBody", "raw_body", "Body", "payload"):
        value = message.get(name)
        if isinstance(value, str):
            coded = message.get("isBase64Encoded") is True
            return _base64(value.encode()) if coded else value.encode()
    return None


def _quoted(text: str) -> str | None:
    value = json.loads(text)
    return value if isinstance(value, str) else None


def _repr(text: str) -> str | None:
    return text[2:-1] if re.fullmatch(r"b(['\"]).*\1", text, re.DOTALL) else None


def _mojibake(codec: str) -> Callable[[str], str]:
    return lambda text: text.encode(codec).decode()


_UNDO = (
    Undo(Cause.BODY_BOM, Said("a byte order mark was put before it"),
         lambda b: b.removeprefix(BOM)),
    Undo(Cause.BODY_BOM, Said("its byte order mark was removed"), lambda b: BOM + b),
    Undo(Cause.BODY_WHITESPACE, Said("a line break was added at its end"),
         lambda b: b[:-1] if b.endswith(b"\n") else None),
    Undo(Cause.BODY_WHITESPACE, Said("white space was added around it"), bytes.strip),
    Undo(Cause.BODY_WHITESPACE, Said("the line break at its end was removed"), lambda b: b + b"\n"),
    Undo(Cause.BODY_WHITESPACE, Said("the line break at its end was removed"),
         lambda b: b + b"\r\n"),
    Undo(Cause.BODY_WHITESPACE, Said("zero bytes were added at its end"),
         lambda b: b.rstrip(b"\0")),
    Undo(Cause.BODY_LINE_ENDS, Said("line ends became CR LF"), lambda b: b.replace(b"\r\n", b"\n")),
    Undo(Cause.BODY_LINE_ENDS, Said("line ends of CR LF became LF"),
         lambda b: re.sub(rb"(?<!\r)\n", b"\r\n", b)),
    Undo(Cause.BODY_ENCODED, Said("it is base64"), _base64),
    Undo(Cause.BODY_ENCODED, Said("it is hex"), lambda b: binascii.unhexlify(b.strip())),
    Undo(Cause.BODY_ENCODED, Said("it was decoded from base64"), base64.b64encode),
    Undo(Cause.BODY_ENCODED, Said("it was written as a JSON string"), _text(_quoted)),
    Undo(Cause.BODY_ENCODED, Said("it is Python's text of a bytes object"), _text(_repr)),
    Undo(Cause.BODY_ENCODED, Said("it is escaped as HTML"), _text(html.unescape)),
    Undo(Cause.BODY_ENCODED, Said("it was unescaped as HTML"), _text(html.escape)),
    Undo(Cause.BODY_COMPRESSED, Said("it is compressed"), _unzip),
    Undo(Cause.BODY_WRAPPED, Said("it is a gateway's message, with the body inside"), _inside),
    Undo(Cause.BODY_FORM, Said("it is percent-encoded"), unquote_to_bytes),
    Undo(Cause.BODY_FORM, Said("it is encoded as a form"), _text(unquote_plus)),
    Undo(Cause.BODY_FORM, Said("it is the field of a form"), _text(_field)),
    Undo(Cause.BODY_FORM, Said("it was read as the name of a form's field"),
         lambda b: b.removesuffix(b"=")),
    Undo(Cause.BODY_FORM, Said("it was read as the name of a form's field"),
         _text(lambda t: unquote_plus(t.removesuffix("=")))),
    Undo(Cause.BODY_FORM, Said("it was decoded as a form"), _text(quote_plus)),
    Undo(Cause.BODY_FORM, Said("it was taken out of a form's field"),
         _text(lambda t: "payload=" + quote_plus(t))),
    Undo(Cause.BODY_CHARSET, Said("its UTF-8 was read as Latin-1"), _text(_mojibake("latin-1"))),
    Undo(Cause.BODY_CHARSET, Said("its UTF-8 was read as Windows-1252"),
         _text(_mojibake("cp1252"))),
    Undo(Cause.BODY_CHARSET, Said("it was written as Latin-1"),
         lambda b: b.decode("latin-1").encode()),
    Undo(Cause.BODY_CHARSET, Said("it was written as Windows-1252"),
         lambda b: b.decode("cp1252").encode()),
    Undo(Cause.BODY_CHARSET, Said("it was written as GBK"), lambda b: b.decode("gbk").encode()),
    Undo(Cause.BODY_CHARSET, Said("it was written as UTF-16"),
         lambda b: b.decode("utf-16").encode()),
    *(
        Undo(Cause.BODY_CHARSET, Said("its text was normalised as Unicode"),
             _text(lambda t, f=form: unicodedata.normalize(f, t)))  # type: ignore[misc]
        for form in ("NFC", "NFD")
    ),
)  # fmt: skip


def undone(raw: bytes) -> Iterator[tuple[Undo, bytes]]:
    for each in _UNDO:
        try:
            before = each.undo(raw)
        except (ValueError, zlib.error, RecursionError, LookupError):
            continue
        if before is not None and before != raw:
            yield each, before


def originals(raw: bytes) -> Iterator[bytes]:
    """Yield what the body may have been, the likeliest first; without an end worth waiting for."""
    once = [before for _, before in undone(raw)]
    yield from once
    yield from _json_originals(raw)
    for before in once:
        for _, twice in undone(before):
            yield twice
        yield from islice(_json_originals(before), 200)


# JSON --------------------------------------------------------------------------------------------


class Number(str):
    """A number as it is written."""

    __slots__ = ()


class Object(list[tuple[str, Any]]):
    """An object as it is written: its order, and names that come twice."""


def read_tree(raw: bytes) -> Any:
    """Return a body as written; raises ValueError, RecursionError."""
    return json.loads(raw.decode(), parse_int=Number, parse_float=Number, object_pairs_hook=Object)


TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_LAYOUTS: tuple[tuple[str | None, str, str], ...] = (
    (None, ",", ":"),
    (None, ", ", ": "),
    (None, ",", ": "),
    ("  ", ",", ": "),
    ("    ", ",", ": "),
    ("\t", ",", ": "),
)
"""Indent, and what follows an item and a name: JavaScript, Python, Ruby; pretty printers."""


def _plain(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _ascii(text: str) -> str:
    return json.dumps(text)


def _upper(text: str) -> str:
    return re.sub(r"\\u[0-9a-f]{4}", lambda m: "\\u" + m[0][2:].upper(), json.dumps(text))


def _go(text: str) -> str:
    return re.sub("[<>&\u2028\u2029]", lambda m: f"\\u{ord(m[0]):04x}", _plain(text))


_SPELLINGS: tuple[Callable[[str], str], ...] = (
    _plain,
    _ascii,
    lambda text: _ascii(text).replace("/", "\\/"),  # PHP
    lambda text: _plain(text).replace("/", "\\/"),
    _go,
    _upper,
)


def _write(node: Any, spell: Callable[[str], str], layout: tuple[str | None, str, str]) -> str:
    """Return a tree as JSON; raises RecursionError."""
    indent, comma, colon = layout

    def write(node: Any, depth: int) -> str:
        if isinstance(node, Number):
            return str(node)
        if isinstance(node, str):
            return spell(node)
        if isinstance(node, Object):
            items = [spell(name) + colon + write(value, depth + 1) for name, value in node]
            return _bracketed("{}", items, depth)
        if isinstance(node, list):
            return _bracketed("[]", [write(value, depth + 1) for value in node], depth)
        return json.dumps(node)

    def _bracketed(brackets: str, items: list[str], depth: int) -> str:
        if indent is None or not items:
            return brackets[0] + comma.join(items) + brackets[1]
        pad = "\n" + indent * (depth + 1)
        return brackets[0] + pad + ("," + pad).join(items) + "\n" + indent * depth + brackets[1]

    return write(node, 0)


def _json_originals(raw: bytes) -> Iterator[bytes]:
    try:
        tree = read_tree(raw.removeprefix(BOM))
        if _depth(tree) > MAX_DEPTH:
            return
    except (ValueError, RecursionError):
        return
    yield from _laid_out_anew(raw)
    for spell, layout in product(_SPELLINGS, _LAYOUTS):
        yield from _encoded(_write(tree, spell, layout))
    for other in _numbered_anew(tree):
        yield from _encoded(_write(other, _plain, _LAYOUTS[0]))
        yield from _encoded(_write(other, _ascii, _LAYOUTS[0]))
        yield from _encoded(_write(other, _ascii, _LAYOUTS[1]))
    for other in islice(_ordered_anew(tree), 6000):
        yield from _encoded(_write(other, _plain, _LAYOUTS[0]))
    for other in islice(_ordered_anew(tree), 800):
        yield from _encoded(_write(other, _ascii, _LAYOUTS[0]))
        yield from _encoded(_write(other, _ascii, _LAYOUTS[1]))


def _encoded(text: str) -> Iterator[bytes]:
    # A string may hold half a surrogate pair, which UTF-8 cannot carry.
    try:
        body = text.encode()
    except UnicodeEncodeError:
        return
    yield body
    yield body + b"\n"


def _depth(node: Any) -> int:
    deepest, level = 0, [node]
    while level and deepest <= MAX_DEPTH:
        deepest += 1
        level = [
            child[1] if isinstance(each, Object) else child
            for each in level
            if isinstance(each, list)
            for child in each
        ]
    return deepest


def _laid_out_anew(raw: bytes) -> Iterator[bytes]:
    """Yield the same tokens with other white space between them."""
    tokens = TOKEN.findall(raw.decode())
    for comma, colon in ((",", ":"), (", ", ": "), (",", ": ")):
        spaced = {",": comma, ":": colon}
        yield "".join(spaced.get(token, token) for token in tokens).encode()


# Numbers


def _numbered_anew(tree: Any) -> Iterator[Any]:
    """Yield the tree with numbers written in other ways: one, all alike, or any mixture of few."""
    numbers = list(islice(_numbers(tree), MANY + 1))
    if len(numbers) > MANY:
        return
    ways = [list(dict.fromkeys(_spelled_anew(each))) for each in numbers]
    for place, others in enumerate(ways):
        for other in others:
            yield _with_numbers(tree, {place: other})
    for rule in range(max(map(len, ways), default=0)):
        yield _with_numbers(tree, {n: w[rule] for n, w in enumerate(ways) if rule < len(w)})
    few = [[numbers[n], *others[:3]] for n, others in enumerate(ways)]
    for mixture in islice(product(*few), 4096):
        yield _with_numbers(tree, dict(enumerate(mixture)))


def _numbers(node: Any) -> Iterator[str]:
    if isinstance(node, Number):
        yield node
    elif isinstance(node, Object):
        for _, value in node:
            yield from _numbers(value)
    elif isinstance(node, list):
        for value in node:
            yield from _numbers(value)


def _with_numbers(tree: Any, changed: dict[int, str]) -> Any:
    count = iter(range(1_000_000_000))

    def copy(node: Any) -> Any:
        if isinstance(node, Number):
            return Number(changed.get(next(count), node))
        if isinstance(node, Object):
            return Object((name, copy(value)) for name, value in node)
        return [copy(value) for value in node] if isinstance(node, list) else node

    return copy(tree)


_INTEGER = re.compile(r"-?[0-9]+")
_FRACTION = re.compile(r"(-?[0-9]+)\.([0-9]+)")


def _spelled_anew(number: str) -> Iterator[str]:
    if len(number) > 40:  # noqa: PLR2004 - nobody rewrites those
        return
    if _INTEGER.fullmatch(number):
        yield number + ".0"
        yield number + ".00"
        yield from _powers(number.rstrip("0"), len(number) - len(number.rstrip("0")))
        yield from _rounded_by_javascript(int(number))
    elif match := _FRACTION.fullmatch(number):
        whole, digits = match[1], match[2].rstrip("0")
        for width in range(len(digits), len(digits) + 4):
            yield f"{whole}.{digits.ljust(width, '0')}" if width else whole
    for other in (f"{float(number):e}", repr(float(number)), f"{float(number):g}"):
        mantissa, mark, power = other.partition("e")
        if mark:
            yield from _powers(re.sub(r"\.?0+$", "", mantissa), int(power))
        yield other


def _powers(mantissa: str, power: int) -> Iterator[str]:
    """Yield a number with an exponent, as the languages write it."""
    if power and mantissa not in ("", "-"):
        for mark in ("e", "E", "e+", "E+") if power > 0 else ("e", "E"):
            yield f"{mantissa}{mark}{power}"
            yield f"{mantissa}.0{mark}{power}"


def _rounded_by_javascript(number: int) -> Iterator[str]:
    """Yield the integers that a double holds as this one: beyond 2^53 it skips some."""
    if not 2**53 <= abs(number) < 2**65:
        return
    near = int(float(number))
    step = 2 ** (near.bit_length() - 53)
    for away in range(1, step + 1):
        for other in (near + away, near - away):
            if float(other) == float(number):
                yield str(other)
    if near != number:
        yield str(near)


# Order


def _ordered_anew(tree: Any) -> Iterator[Any]:
    """Yield the tree with the names of its objects in other orders, Hookline's envelope first."""
    if isinstance(tree, Object):
        known = ["event", "data", "timestamp", "metadata"]
        place = {name: at for at, name in enumerate(known)}
        ours = sorted(tree, key=lambda pair: place.get(pair[0], len(known)))
        for value in islice(
            _orders(tree[_at(tree, "data")][1]) if _at(tree, "data") >= 0 else (), 2500
        ):
            yield Object((n, value if n == "data" else v) for n, v in ours)
    yield from _orders(tree)


def _at(tree: Object, name: str) -> int:
    return next((at for at, pair in enumerate(tree) if pair[0] == name), -1)


def _orders(node: Any) -> Iterator[Any]:
    if isinstance(node, Object) and len(node) <= 6:  # noqa: PLR2004 - 720 orders
        for order in permutations(node):
            for values in product(*(list(islice(_orders(value), 24)) for _, value in order)):
                pairs = zip(order, values, strict=True)
                yield Object((name, value) for (name, _), value in pairs)
    elif isinstance(node, list) and not isinstance(node, Object) and len(node) <= 3:  # noqa: PLR2004
        for values in product(*(list(islice(_orders(value), 24)) for value in node)):
            yield list(values)
    else:
        yield node


def unique(bodies: Iterable[bytes], first: bytes) -> Iterator[bytes]:
    """Yield each body once, and never the first."""
    seen = {hash(first)}
    for each in bodies:
        key = hash(each)
        if key not in seen:
            seen.add(key)
            yield each
