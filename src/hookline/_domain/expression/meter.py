"""What an evaluation may cost, and what a value weighs."""

from math import isfinite
from typing import Any

MAX_DEPTH = 100
"""Levels of a result: as many as an event may have."""
STEPS, STEPS_PER_BYTE, MOST_STEPS = 10_000, 1, 100_000
"""What one evaluation may take: the first, and so many more for each byte of the body, up to the
last. A step is one node of the expression at one element of a list, or 16 characters of a text:
0.4 µs at most."""


class ExpressionFailed(Exception):
    """An expression has no result for this body. The message never quotes the body."""


class Meter:
    """The steps an evaluation has left."""

    __slots__ = ("left",)

    def __init__(self, left: int = MOST_STEPS) -> None:
        """Take the number of steps it may make."""
        self.left = left

    def spend(self, steps: int) -> None:
        """Count steps; raise ExpressionFailed when they are used up."""
        self.left -= steps
        if self.left < 0:
            raise ExpressionFailed(
                "takes too long on this body; look at fewer elements, or at each of them once"
            )

    def read(self, text: str) -> str:
        """Count what handling a text costs: 16 characters are a step."""
        self.spend(len(text) >> 4)
        return text


def steps_for(size: int) -> int:
    """Return the steps an evaluation over a body of so many bytes may make."""
    return min(STEPS + STEPS_PER_BYTE * size, MOST_STEPS)


def kind(value: Any) -> str:
    """Return the type of a value as JMESPath calls it."""
    return _KINDS[type(value)]


_KINDS = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
    type(None): "null",
}


def weigh(value: Any, most: int) -> None:
    """Raise ExpressionFailed unless a value has a JSON form of about `most` bytes or less.

    What an expression puts together may hold the same part many times over: a few hundred bytes in
    memory can be gigabytes when written. Walks no further than `most` bytes.
    """
    left = most
    waiting = [(value, 0)]
    while waiting:
        each, depth = waiting.pop()
        own = type(each)
        left -= len(each) + 2 if own is str else 1
        if own is dict or own is list:
            if depth >= MAX_DEPTH:
                raise ExpressionFailed(f"the result is nested deeper than {MAX_DEPTH} levels")
            left -= len(each)
            if left >= 0:
                inner = each.values() if own is dict else each
                left -= sum(map(len, each)) if own is dict else 0
                waiting += [(item, depth + 1) for item in inner]
        elif own is float and not isfinite(each):
            raise ExpressionFailed(f"the result has the number {each}, which JSON has not")
        if left < 0:
            raise ExpressionFailed(f"the result is larger than {most:,} bytes")
