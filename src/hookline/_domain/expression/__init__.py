"""Filters and transformations: JMESPath over the body of an event, with bounds.

Whoever registers an endpoint may write them, so an expression is data of a stranger, evaluated over
data of another. It can look at the body and at nothing else, changes nothing, always gives the same
result for the same body, and ends: what it may do is counted (`meter`), and what it makes is
weighed before it is written.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from hookline._domain.expression.functions import dumps
from hookline._domain.expression.meter import ExpressionFailed, Meter, kind, steps_for, weigh
from hookline._domain.expression.syntax import Node, parse
from hookline._domain.expression.tree import build, truth
from hookline._said import Said
from hookline.errors import InvalidExpression, InvalidInput

MAX_RESULT = 1 << 20
"""Bytes of a transformed body, where no `payload_limit` is given."""
_PARSE_STEP = 10
"""Bytes of a body that take as long to parse as a step of an evaluation."""
_LONG = b"0" * 20
_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)


class Document:
    """The body of an event, parsed once for all who look at it."""

    __slots__ = ("_parsed", "body")

    def __init__(self, body: bytes) -> None:
        """Parse nothing yet."""
        self.body = body
        self._parsed: tuple[Any, str | None] | None = None

    def value(self, meter: Meter) -> Any:
        """Return what the body says; raise ExpressionFailed when it is not JSON."""
        if self._parsed is None:
            meter.left -= len(self.body) // _PARSE_STEP
            self._parsed = _parsed(self.body)
        value, problem = self._parsed
        if problem is not None:
            raise ExpressionFailed(problem)
        return value


def _parsed(body: bytes) -> tuple[Any, str | None]:
    try:
        # orjson makes a float of an integer beyond 64 bits; those have 20 digits at least.
        if _LONG in body.translate(_DIGITS):
            return json.loads(body, parse_constant=_no_constant), None
        return orjson.loads(body), None
    except (ValueError, RecursionError):
        return None, "the body is not JSON" if body else "the body is empty"


def _no_constant(name: str) -> Any:
    raise ValueError(name)


class Verdict(NamedTuple):
    """Whether an endpoint gets an event. `problem`: it does because its filter failed.

    `steps` is what finding out has cost.
    """

    passes: bool
    problem: str | None = None
    steps: int = 0


class Filter:
    """Which events an endpoint gets."""

    def __init__(self, text: str) -> None:
        """Raises InvalidInput for what `check_filter` refuses."""
        self._run, self._weight = build(parse(text))

    def passes(self, document: Document) -> Verdict:
        """Judge an event. Never raises: one that cannot be judged passes, and says why."""
        allowed = steps_for(len(document.body))
        parsing = 0 if document._parsed else len(document.body) // _PARSE_STEP  # noqa: SLF001
        meter = Meter(allowed + parsing)
        try:
            passes, problem = truth(self._run(document.value(meter), meter)), None
        except ExpressionFailed as error:
            passes, problem = True, str(error)
        return Verdict(passes, problem, self._weight + allowed + parsing - meter.left)


class Transform:
    """What an endpoint gets instead of the body of an event."""

    def __init__(self, text: str) -> None:
        """Raises InvalidInput for what `check_transform` refuses."""
        self._run = build(parse(text)).run

    def transformed(self, document: Document, limit: int = MAX_RESULT) -> bytes:
        """Return the body to send, `limit` bytes at most; raise ExpressionFailed."""
        meter = Meter(steps_for(len(document.body)) + len(document.body) // _PARSE_STEP)
        result = self._run(document.value(meter), meter)
        if type(result) is not dict:
            raise ExpressionFailed(f"the result is {kind(result)}, expected object")
        weigh(result, limit)
        content = dumps(result)
        if len(content) > limit:
            raise ExpressionFailed(f"the result has {len(content):,} bytes, more than {limit:,}")
        return content


# at the door -------------------------------------------------------------------------------------

_MADE = {"multi_select_list", "multi_select_dict", "literal"}
_NEVER_OBJECTS: dict[str, str] = {
    "comparator": Said("true or false"),
    "not_expression": Said("true or false"),
    "multi_select_list": Said("an array"),
    "projection": Said("an array"),
    "value_projection": Said("an array"),
    "filter_projection": Said("an array"),
    "flatten": Said("an array"),
}


def check_filter(text: Any) -> str:
    """Return the filter of an endpoint; raise InvalidExpression with position and reason.

    InvalidInput without `jmespath`, which is the extra `filters`.
    """
    with _named("filter"):
        node = _checked(text, "filter")
        if _last(node)["type"] in _MADE:
            raise InvalidExpression(
                Said("is the same for every event; compare something: data.x == 'y'")
            )
    return str(text)


def check_transform(text: Any) -> str:
    """Return the transformation of an endpoint, or raise as `check_filter`."""
    with _named("transform"):
        last = _last(_checked(text, "transform"))
        never = _NEVER_OBJECTS.get(last["type"])
        if last["type"] == "literal" and not isinstance(last["value"], dict):
            never = kind(last["value"])
        if never is not None:
            raise InvalidExpression(
                Said("makes {never}, expected an object: {{text: data.name}}", never=never)
            )
    return str(text)


def _checked(text: Any, name: str) -> Node:
    node = parse(text, name)
    build(node)
    return node


def _last(node: Node) -> Node:
    while node["type"] == "pipe":
        node = node["children"][-1]
    return node


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except InvalidExpression as error:
        raise InvalidExpression(error.reason, error.position, name) from None


# tried out ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trial:
    """What an expression makes of an example. Nothing is sent or stored.

    `matched` is a filter's answer: whether the endpoint would get the event. `result` is the body
    that a transformation would have sent, to the byte. `problem` says why there was no answer: the
    filter failed, and the endpoint gets the event; or the transformation did, and the attempt fails
    with it.
    """

    matched: bool | None = None
    result: bytes | None = None
    problem: str | None = None


def try_filter(text: Any, example: Any) -> Trial:
    """Return what a filter makes of an example: the whole body, as JSON or as a dict."""
    check_filter(text)
    verdict = Filter(text).passes(_example(example))
    return Trial(matched=verdict.passes, problem=verdict.problem)


def try_transform(text: Any, example: Any, limit: int = MAX_RESULT) -> Trial:
    """Return what a transformation makes of an example, as `try_filter`."""
    check_transform(text)
    document = _example(example)
    try:
        return Trial(result=Transform(text).transformed(document, limit))
    except ExpressionFailed as error:
        return Trial(problem=str(error))


def _example(example: Any) -> Document:
    if isinstance(example, Mapping):
        try:
            example = orjson.dumps(dict(example))
        except TypeError as error:
            raise InvalidInput(f"example: {error}") from None
    if not isinstance(example, bytes | bytearray | memoryview):
        raise InvalidInput(
            f"example: expected the body of an event, a dict or bytes, got {type(example).__name__}"
        )
    document = Document(bytes(example))
    try:
        document.value(Meter(len(document.body)))
    except ExpressionFailed as error:
        raise InvalidInput(f"example: {error}") from None
    return document
