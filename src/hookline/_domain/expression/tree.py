"""From the tree of an expression to something that can be called, and counts what it does.

`jmespath`'s own interpreter has no bounds: a few dozen characters keep it busy for hours. Here a
loop is paid for before it is made: its elements times the nodes inside. What is outside of loops
is made once, and costs nothing: an expression is short.
"""

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from hookline._domain.expression.functions import FUNCTIONS, Run, equal, fits
from hookline._domain.expression.meter import ExpressionFailed, Meter, kind
from hookline._domain.expression.syntax import Node
from hookline._said import Said
from hookline.errors import InvalidExpression

MAX_NESTED, MAX_PARTS = 60, 1000
"""Levels of an expression's tree, and its nodes: each takes up to 300 bytes per endpoint."""


class Part(NamedTuple):
    """A part of an expression, and how many nodes it has."""

    run: Run
    weight: int


def build(tree: Node) -> Part:
    """Return what evaluates a tree; raise InvalidExpression when it is too deep, or too large."""
    whole = _part(tree, 0)
    if whole.weight > MAX_PARTS:
        raise InvalidExpression(
            Said(
                "has {weight:,} parts, at most {most:,} are accepted",
                weight=whole.weight,
                most=MAX_PARTS,
            )
        )
    return whole


def truth(value: Any) -> bool:
    """Return whether a value counts as true (JMESPath: `null`, `false`, and what is empty do not).

    The number 0 does.
    """
    return value is not None and value is not False and (bool(value) or kind(value) == "number")


def _part(node: Node, depth: int) -> Part:
    if depth > MAX_NESTED:
        raise InvalidExpression(Said("is nested deeper than {most} levels", most=MAX_NESTED))
    return _BUILDERS[node["type"]](node, depth + 1)


def _children(node: Node, depth: int) -> tuple[list[Run], int]:
    parts = [_part(child, depth) for child in node["children"]]
    return [part.run for part in parts], 1 + sum(part.weight for part in parts)


def _chain(node: Node, depth: int) -> tuple[list[Run], int]:
    """Return the operands of `a || b || c`, which is a tree as deep as it is long, side by side."""
    name, operands = node["type"], []
    while node["type"] == name:
        node, last = node["children"]
        operands.append(last)
    return _children({"children": [node, *reversed(operands)]}, depth)


# values ------------------------------------------------------------------------------------------


def _current(_: Node, __: int) -> Part:
    return Part(_same, 1)


def _same(value: Any, _: Meter) -> Any:
    return value


def _literal(node: Node, _: int) -> Part:
    found = node["value"]
    return Part(lambda value, meter: found, 1)  # noqa: ARG005


def _field(node: Node, _: int) -> Part:
    name = node["value"]
    return Part(lambda value, _: value.get(name) if type(value) is dict else None, 1)


def _index(node: Node, _: int) -> Part:
    at = node["value"]

    def run(value: Any, _: Meter) -> Any:
        inside = type(value) is list and -len(value) <= at < len(value)
        return value[at] if inside else None

    return Part(run, 1)


def _slice(node: Node, _: int) -> Part:
    which = slice(*node["children"])
    if which.step == 0:
        raise InvalidExpression(Said("a slice has the step 0"))

    def run(value: Any, meter: Meter) -> Any:
        if type(value) is not list:
            return None
        meter.spend(len(value))
        return value[which]

    return Part(run, 1)


def _path(node: Node, depth: int) -> Part:
    """Return steps one after the other; fields, which most are, without a call for each."""
    if all(child["type"] == "field" for child in node["children"]):
        names = [child["value"] for child in node["children"]]

        def walk(value: Any, _: Meter) -> Any:
            for name in names:
                if type(value) is not dict:
                    return None
                value = value.get(name)
            return value

        return Part(walk, len(names))
    return _steps(*_children(node, depth))


def _pipe(node: Node, depth: int) -> Part:
    return _steps(*_chain(node, depth))


def _steps(runs: list[Run], weight: int) -> Part:
    def run(value: Any, meter: Meter) -> Any:
        for step in runs:
            value = step(value, meter)
        return value

    return Part(run, weight)


# conditions --------------------------------------------------------------------------------------


def _or(node: Node, depth: int) -> Part:
    runs, weight = _chain(node, depth)

    def run(value: Any, meter: Meter) -> Any:
        found = None
        for operand in runs:
            found = operand(value, meter)
            if truth(found):
                break
        return found

    return Part(run, weight)


def _and(node: Node, depth: int) -> Part:
    runs, weight = _chain(node, depth)

    def run(value: Any, meter: Meter) -> Any:
        found = None
        for operand in runs:
            found = operand(value, meter)
            if not truth(found):
                break
        return found

    return Part(run, weight)


def _not(node: Node, depth: int) -> Part:
    (inner,), weight = _children(node, depth)
    return Part(lambda value, meter: not truth(inner(value, meter)), weight)


_ORDER = {"lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge}


def _comparator(node: Node, depth: int) -> Part:
    (left, right), weight = _children(node, depth)
    name = node["value"]
    if name in ("eq", "ne"):
        wanted = name == "eq"
        return Part(
            lambda value, meter: equal(left(value, meter), right(value, meter), meter) is wanted,
            weight,
        )
    compare = _ORDER[name]

    def run(value: Any, meter: Meter) -> Any:
        one, other = left(value, meter), right(value, meter)
        own = kind(one)
        if own != kind(other) or own not in ("number", "string"):
            return None  # as JMESPath has it: there is no order between other things
        if own == "string":
            meter.read(one)
        return compare(one, other)

    return Part(run, weight)


# loops -------------------------------------------------------------------------------------------


def _each(values: Any, right: Part, meter: Meter) -> list[Any]:
    meter.spend(len(values) * right.weight)
    run = right.run
    if run is _same:
        return [value for value in values if value is not None]
    return [found for value in values if (found := run(value, meter)) is not None]


def _projection(node: Node, depth: int) -> Part:
    left, right = (_part(child, depth) for child in node["children"])

    def run(value: Any, meter: Meter) -> Any:
        base = left.run(value, meter)
        return _each(base, right, meter) if type(base) is list else None

    return Part(run, 1 + left.weight + right.weight)


def _value_projection(node: Node, depth: int) -> Part:
    left, right = (_part(child, depth) for child in node["children"])

    def run(value: Any, meter: Meter) -> Any:
        base = left.run(value, meter)
        return _each(base.values(), right, meter) if type(base) is dict else None

    return Part(run, 1 + left.weight + right.weight)


def _filter_projection(node: Node, depth: int) -> Part:
    left, right, condition = (_part(child, depth) for child in node["children"])
    holds = condition.run

    def run(value: Any, meter: Meter) -> Any:
        base = left.run(value, meter)
        if type(base) is not list:
            return None
        meter.spend(len(base) * condition.weight)
        return _each([item for item in base if truth(holds(item, meter))], right, meter)

    return Part(run, 1 + left.weight + right.weight + condition.weight)


def _flatten(node: Node, depth: int) -> Part:
    (left,), weight = _children(node, depth)

    def run(value: Any, meter: Meter) -> Any:
        base = left(value, meter)
        if type(base) is not list:
            return None
        merged: list[Any] = []
        meter.spend(len(base))
        for item in base:
            if type(item) is list:
                meter.spend(len(item))
                merged += item
            else:
                merged.append(item)
        return merged

    return Part(run, weight)


# what is made anew -------------------------------------------------------------------------------


def _list(node: Node, depth: int) -> Part:
    runs, weight = _children(node, depth)
    return Part(
        lambda value, meter: None if value is None else [run(value, meter) for run in runs], weight
    )


def _object(node: Node, depth: int) -> Part:
    runs, weight = _children(node, depth)
    pairs = list(zip([child["value"] for child in node["children"]], runs, strict=True))
    return Part(
        lambda value, meter: (
            None if value is None else {name: run(value, meter) for name, run in pairs}
        ),
        weight,
    )


def _inner(node: Node, depth: int) -> Part:
    return _part(node["children"][0], depth)


def _function(node: Node, depth: int) -> Part:
    name = node["value"]
    function = FUNCTIONS[name]
    parts = [_part(child, depth) for child in node["children"]]
    if not function.accepts(len(parts)):  # the parser takes arguments without commas
        raise InvalidExpression(
            Said(
                "{name} takes {arity}, {count} given",
                name=name,
                arity=function.arity,
                count=len(parts),
            )
        )
    arguments = [
        _each_time(part) if child["type"] == "expref" else part.run
        for part, child in zip(parts, node["children"], strict=True)
    ]
    call: Callable[..., Any] = function.call

    def run(value: Any, meter: Meter) -> Any:
        found = [argument(value, meter) for argument in arguments]
        for number, each in enumerate(found):
            wanted = function.type_of(number)
            if wanted != "expression" and not fits(each, wanted, meter):
                raise ExpressionFailed(
                    f"{name}: argument {number + 1} is {_own(each)}, expected {_expected(wanted)}"
                )
        return call(meter, *found)

    return Part(run, 1 + sum(part.weight for part in parts))


def _each_time(part: Part) -> Run:
    """Return what hands a function an expression, which pays each time it is evaluated."""

    def evaluate(value: Any, meter: Meter) -> Any:
        meter.spend(part.weight)
        return part.run(value, meter)

    return lambda value, meter: evaluate  # noqa: ARG005


def _own(value: Any) -> str:
    own = kind(value)
    if own != "array":
        return own
    return f"array of {' and '.join(sorted({kind(item) for item in value}))}" if value else own


def _expected(wanted: str) -> str:
    names = [f"array of {each}" if each.endswith("s") else each for each in wanted.split("|")]
    return " or ".join(names)


_BUILDERS: dict[str, Callable[[Node, int], Part]] = {
    "and_expression": _and,
    "comparator": _comparator,
    "current": _current,
    "expref": _inner,
    "field": _field,
    "filter_projection": _filter_projection,
    "flatten": _flatten,
    "function_expression": _function,
    "identity": _current,
    "index": _index,
    "index_expression": _path,
    "key_val_pair": _inner,
    "literal": _literal,
    "multi_select_dict": _object,
    "multi_select_list": _list,
    "not_expression": _not,
    "or_expression": _or,
    "pipe": _pipe,
    "projection": _projection,
    "slice": _slice,
    "subexpression": _path,
    "value_projection": _value_projection,
}
