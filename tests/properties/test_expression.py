"""Expressions on arbitrary input: never another error, never an end that does not come.

And never another result than the library that defines them has, where that has one.
"""

import json
import time

import jmespath
from hypothesis import given, settings
from hypothesis import strategies as st

from hookline._domain.expression import (
    Document,
    Filter,
    check_filter,
    check_transform,
    try_filter,
    try_transform,
)
from hookline._domain.expression.functions import FUNCTIONS
from hookline._domain.expression.syntax import MAX_LENGTH
from hookline.errors import InvalidExpression, InvalidInput

# 0 and 1 are left out: inside of lists `jmespath` takes them for false and true.
numbers = st.integers(2, 9) | st.sampled_from([2.5, -3, 7.25])
scalars = st.none() | st.booleans() | numbers | st.sampled_from(["", "a", "b", "ab", "x y"])
names = st.sampled_from(["a", "b", "c", "items", "x-y"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(names, values, min_size=1, max_size=5)
fields = st.sampled_from(["a", "b", "c", "items", '@."x-y"'])
literals = values.map(lambda value: f"`{json.dumps(value)}`") | st.sampled_from(["'a'", "'ab'"])
PLAIN = sorted(
    name
    for name, function in FUNCTIONS.items()
    if len(function.takes) == 1 and function.takes[0] != "expression"
)


def wider(inner):
    """Return expressions made of others, in every way there is."""
    pair = st.tuples(inner, inner)
    compare = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    # In the order in which they are written, so that each reads as one piece.
    return st.one_of(
        st.tuples(inner, fields.filter(str.isalpha)).map(lambda e: f"({e[0]}).{e[1]}"),
        st.tuples(inner, st.integers(-3, 3)).map(lambda e: f"({e[0]})[{e[1]}]"),
        st.tuples(inner, st.sampled_from(["1:", ":-1", "::2", "::-1"])).map(
            lambda e: f"({e[0]})[{e[1]}]"
        ),
        inner.map(lambda e: f"({e})[]"),
        pair.map(lambda e: f"({e[0]})[].[{e[1]}]"),
        pair.map(lambda e: f"({e[0]})[*].{{x: {e[1]}}}"),
        pair.map(lambda e: f"({e[0]}).*.[{e[1]}]"),
        pair.map(lambda e: f"({e[0]})[?{e[1]}]"),
        st.tuples(inner, inner, fields.filter(str.isalpha)).map(
            lambda e: f"({e[0]})[?{e[1]}].{e[2]}"
        ),
        pair.map(lambda e: f"[{e[0]}, {e[1]}]"),
        pair.map(lambda e: f"{{x: {e[0]}, y: {e[1]}}}"),
        pair.map(lambda e: f"({e[0]} | {e[1]})"),
        pair.map(lambda e: f"({e[0]} && {e[1]})"),
        pair.map(lambda e: f"({e[0]} || {e[1]})"),
        inner.map(lambda e: f"!({e})"),
        st.tuples(inner, compare, inner).map(lambda e: f"({e[0]} {e[1]} {e[2]})"),
        st.tuples(st.sampled_from(PLAIN), inner).map(lambda e: f"{e[0]}({e[1]})"),
        st.tuples(
            st.sampled_from(["contains", "starts_with", "ends_with", "join", "merge", "not_null"]),
            inner,
            inner,
        ).map(lambda e: f"{e[0]}({e[1]}, {e[2]})"),
        st.tuples(st.sampled_from(["sort_by", "max_by", "min_by"]), inner, inner).map(
            lambda e: f"{e[0]}({e[1]}, &{e[2]})"
        ),
        pair.map(lambda e: f"map(&{e[0]}, {e[1]})"),
    )


expressions = st.recursive(fields | st.just("@") | literals, wider, max_leaves=8)


def reference(text, body):
    """Return what the library makes of it as JSON; None where it has no result of its own."""
    try:
        return json.dumps({"x": jmespath.search(text, body)})
    except (ValueError, TypeError, AttributeError):
        return None


@settings(max_examples=500)
@given(expressions, objects)
def test_as_the_library_has_it(text, body):
    """The same result, to the order of the keys."""
    try:
        trial = try_transform(f"{{x: {text}}}", body)
    except InvalidExpression as error:
        assert "nested" in str(error) or "position" in str(error), error  # noqa: PT017
        assert "nested" in str(error) or "double quotes" in str(error), error  # noqa: PT017
        return
    wanted = reference(text, body)
    if (trial.problem or "").startswith("merge: argument"):
        return  # the library looks at its first one only
    if wanted is not None and not (trial.problem or "").startswith("takes too long"):
        assert trial.problem is None, (trial.problem, wanted)
        assert json.dumps(json.loads(trial.result)) == wanted
    truth = try_filter(f"{text} && `true`", body)
    if wanted is not None:
        assert truth.matched is (json.loads(wanted)["x"] not in ("", [], {}, None, False))


SIGNS = [
    "[?",
    "[]",
    "&&",
    "||",
    "==",
    "<=",
    "`1`",
    "'a'",
    "true",
    "null",
    "$",
    "张",
    "\ud800",
    "\0",
]
pieces = st.sampled_from([*FUNCTIONS, *SIGNS, *"abc@&|!.,:*(){}[]'\"`\\-0123456789 \n"])
garbage = st.text() | st.lists(pieces, max_size=40).map("".join)


@settings(max_examples=1500)
@given(garbage | expressions | st.none() | st.integers() | st.binary())
def test_a_check_refuses_or_takes(text):
    """Whatever it is, it is taken as it is, or refused as InvalidInput that names the option."""
    for check, name in ((check_filter, "filter"), (check_transform, "transform")):
        try:
            assert check(text) == text
        except InvalidInput as error:
            assert str(error).startswith(f"{name}: ")  # noqa: PT017
            position = getattr(error, "position", None)
            assert position is None or 1 <= position <= len(text) + 1


@given(garbage | expressions, objects.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_a_filter_always_answers(text, body):
    """A filter that was taken says yes or no to whatever comes, and says yes when it fails."""
    try:
        check_filter(text)
    except InvalidInput:
        return
    verdict = Filter(text).passes(Document(body))
    assert type(verdict.passes) is bool
    assert verdict.passes or verdict.problem is None
    assert verdict.steps >= 0


STEPS = [
    "[@, @]",
    "[@, @][]",
    "[*].[@, @]",
    "[].[@, @][]",
    "map(&[@, @], @)",
    "map(&to_string(@), @)",
    "[?length(to_string(@)) > `0`]",
    "[?@ == @]",
    "[[@, @] == [@, reverse(@)], @][]",
    "sort_by(@, &to_string(@))",
    "[join('', map(&to_string(@), @))]",
    "[*].values({a: @, b: @})",
    "[to_string([@, @])]",
]
# Those that make more of it, and those that look at all of it.
loops = st.one_of(
    st.lists(st.sampled_from(steps), min_size=20, max_size=60).map(" | to_array(@) | ".join)
    for steps in (STEPS[:5], STEPS[:9], STEPS)
)
bodies = st.sampled_from(
    [
        b'{"a":[1,2],"items":["x","y"]}',
        json.dumps({"a": {"a": "x"}, "items": [{"a": [n]} for n in range(2000)]}).encode(),
        json.dumps({"items": [[n] for n in range(100_000)]}).encode(),
        json.dumps({"a": "x" * 500_000, "items": ["y" * 500_000]}).encode(),
    ]
)


@settings(max_examples=60, deadline=None)
@given(loops, bodies)
def test_it_ends(text, body):
    """However doubling steps follow one another, they end, with a result that is bounded."""
    assert len(text) < MAX_LENGTH
    began = time.process_time()
    try:
        trial = try_transform(f"{{a: to_array(@) | {text}}}", body)
    except InvalidExpression:
        return
    assert time.process_time() - began < 5, "CPU seconds"
    assert len(trial.result or b"") <= 1 << 20
