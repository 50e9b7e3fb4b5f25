"""The functions of JMESPath, each with its arguments' types, counted as they work.

The specification's 26, as `jmespath` has them; where that raises a Python error or goes on for
ever, these have a result, or fail.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from hookline._domain.expression.meter import ExpressionFailed, Meter, kind, weigh
from hookline._said import Said

Run = Callable[[Any, Meter], Any]
"""A part of an expression: from the current value to its result."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,400})(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,4})?")
_MOST_TEXT = 1 << 18
"""Bytes `to_string` writes at most, of what is no text."""


class Function(NamedTuple):
    """One function. `takes` are its arguments' types; `more`: the last one may be repeated.

    A type is `any`, `expression`, or one or several of JMESPath's names, separated by `|`;
    `numbers`, `strings` are arrays of them.
    """

    takes: tuple[str, ...]
    call: Callable[..., Any]
    more: bool = False

    def accepts(self, count: int) -> bool:
        """Return whether it can be called with so many arguments."""
        return count >= len(self.takes) if self.more else count == len(self.takes)

    @property
    def arity(self) -> str:
        """How many arguments it takes, in words."""
        count = len(self.takes)
        if self.more:
            return Said("{count} or more arguments", count=count)
        return Said("1 argument") if count == 1 else Said("{count} arguments", count=count)

    def type_of(self, position: int) -> str:
        """Return the type of an argument, counted from 0."""
        return self.takes[min(position, len(self.takes) - 1)]


def fits(value: Any, wanted: str, meter: Meter) -> bool:
    """Return whether an argument is of one of the types."""
    if wanted == "any":
        return True
    own = kind(value)
    for each in wanted.split("|"):
        if each == own:
            return True
        if each in ("numbers", "strings") and own == "array":
            meter.spend(len(value))
            if all(kind(item) == each[:-1] for item in value):
                return True
    return False


def equal(first: Any, second: Any, meter: Meter) -> bool:
    """Return whether two values are the same JSON: numbers by value, objects in any order."""
    waiting = [(first, second)]
    while waiting:
        one, other = waiting.pop()
        if kind(one) != kind(other):
            return False
        if one is not other:
            inner = _pairs(one, other, meter)
            if inner is None:
                return False
            waiting += inner
    return True


def _pairs(one: Any, other: Any, meter: Meter) -> list[tuple[Any, Any]] | None:
    """Return what is left to compare of two values of one type, None when they differ."""
    if isinstance(one, list):
        meter.spend(len(one))
        return list(zip(one, other, strict=True)) if len(one) == len(other) else None
    if isinstance(one, dict):
        meter.spend(len(one))
        same = one.keys() == other.keys()
        return [(item, other[name]) for name, item in one.items()] if same else None
    if isinstance(one, str):
        meter.read(one)
    return [] if one == other else None


def _contains(meter: Meter, subject: Any, search: Any) -> bool:
    if isinstance(subject, str):
        return isinstance(search, str) and search in meter.read(subject)
    meter.spend(len(subject))
    return any(equal(item, search, meter) for item in subject)


def _join(meter: Meter, separator: str, texts: list[str]) -> str:
    meter.spend((len(separator) * len(texts) + sum(map(len, texts))) >> 4)
    return separator.join(texts)


def _reverse(meter: Meter, value: Any) -> Any:
    meter.spend(len(value) >> 4 if isinstance(value, str) else len(value))
    return value[::-1]


def _to_string(meter: Meter, value: Any) -> str:
    if isinstance(value, str):
        return value
    weigh(value, _MOST_TEXT)
    text = dumps(value).decode()
    meter.spend(len(text) >> 2)  # it is walked through before it is written
    return text


def _to_number(_: Meter, value: Any) -> Any:
    if kind(value) == "number":
        return value
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return None
    found = json.loads(value)
    return found if math.isfinite(found) else None


def _merge(meter: Meter, *objects: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for each in objects:
        meter.spend(len(each))
        merged.update(each)
    return merged


def _listed(meter: Meter, values: Any) -> list[Any]:
    meter.spend(len(values))
    return list(values)


def _average(_: Meter, numbers: list[Any]) -> Any:
    return _arithmetic(lambda: sum(numbers) / len(numbers)) if numbers else None


def _arithmetic(work: Callable[[], Any]) -> Any:
    try:
        found = work()
        if not isinstance(found, float) or math.isfinite(found):
            return found
    except (OverflowError, ValueError):
        pass
    raise ExpressionFailed("a number is beyond what can be calculated with")


def _sortable(meter: Meter, keys: list[Any]) -> list[Any]:
    """Return sort keys once they are known to be all numbers or all strings."""
    kinds = {kind(key) for key in keys}
    if kinds - {"number"} and kinds - {"string"}:
        found = " and ".join(sorted(kinds))
        raise ExpressionFailed(f"sorts by all numbers or all strings, not by {found}")
    # Each key is compared about log2(n) times, and a comparison may read all of it.
    often = len(keys).bit_length()
    meter.spend(sum(often * (1 + (len(k) >> 6 if type(k) is str else 0)) for k in keys))
    return keys


def _sort(meter: Meter, values: list[Any]) -> list[Any]:
    return sorted(_sortable(meter, values))


def _extreme(pick: Callable[..., Any]) -> Callable[..., Any]:
    def extreme(meter: Meter, values: list[Any]) -> Any:
        return pick(_sortable(meter, values), default=None)

    return extreme


def _extreme_by(pick: Callable[..., Any]) -> Callable[..., Any]:
    def extreme(meter: Meter, values: list[Any], run: Run) -> Any:
        keys = _sortable(meter, [run(value, meter) for value in values])
        return values[pick(range(len(keys)), key=keys.__getitem__)] if values else None

    return extreme


def _sort_by(meter: Meter, values: list[Any], run: Run) -> list[Any]:
    keys = _sortable(meter, [run(value, meter) for value in values])
    return [values[at] for at in sorted(range(len(keys)), key=keys.__getitem__)]


def _not_null(_: Meter, *values: Any) -> Any:
    return next((value for value in values if value is not None), None)


FUNCTIONS = {
    "abs": Function(("number",), lambda _, value: abs(value)),
    "avg": Function(("numbers",), _average),
    "ceil": Function(("number",), lambda _, value: _arithmetic(lambda: math.ceil(value))),
    "contains": Function(("array|string", "any"), _contains),
    "ends_with": Function(("string", "string"), lambda _, text, end: text.endswith(end)),
    "floor": Function(("number",), lambda _, value: _arithmetic(lambda: math.floor(value))),
    "join": Function(("string", "strings"), _join),
    "keys": Function(("object",), _listed),
    "length": Function(("string|array|object",), lambda _, value: len(value)),
    "map": Function(
        ("expression", "array"), lambda meter, run, values: [run(v, meter) for v in values]
    ),
    "max": Function(("numbers|strings",), _extreme(max)),
    "max_by": Function(("array", "expression"), _extreme_by(max)),
    "merge": Function(("object",), _merge, more=True),
    "min": Function(("numbers|strings",), _extreme(min)),
    "min_by": Function(("array", "expression"), _extreme_by(min)),
    "not_null": Function(("any",), _not_null, more=True),
    "reverse": Function(("array|string",), _reverse),
    "sort": Function(("numbers|strings",), _sort),
    "sort_by": Function(("array", "expression"), _sort_by),
    "starts_with": Function(("string", "string"), lambda _, text, start: text.startswith(start)),
    "sum": Function(("numbers",), lambda _, numbers: _arithmetic(lambda: sum(numbers))),
    "to_array": Function(("any",), lambda _, value: value if isinstance(value, list) else [value]),
    "to_number": Function(("any",), _to_number),
    "to_string": Function(("any",), _to_string),
    "type": Function(("any",), lambda _, value: kind(value)),
    "values": Function(("object",), lambda meter, value: _listed(meter, value.values())),
}


def dumps(value: Any) -> bytes:
    """Return a weighed value as compact JSON; raise ExpressionFailed where it has none."""
    try:
        return orjson.dumps(value)
    except TypeError as error:
        if "64-bit" not in str(error):
            raise ExpressionFailed(f"the result has no JSON form: {error}") from None
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except ValueError as error:  # thousands of digits, or half a surrogate pair
        raise ExpressionFailed(f"the result has no JSON form: {error}") from None
