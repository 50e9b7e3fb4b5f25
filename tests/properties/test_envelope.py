"""Whatever JSON can say, the envelope says, to the byte."""

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hookline._domain.envelope import envelope
from hookline.errors import InvalidInput, InvalidPayload

texts = st.text(st.characters(exclude_categories=["Cs"]))
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5)
)
objects = st.dictionaries(texts, values, max_size=6)
moments = st.integers(-62_135_596_800_000, 253_402_300_799_999)
names = st.from_regex(r"[a-z_]{1,10}(\.[a-z_]{1,10}){0,3}", fullmatch=True)


@given(names, objects, moments, st.none() | objects)
@example("a", {"": {"": [-0.0, 1e300, 5e-324, 1e16, 2**64, "\x00\x7f\u2028\uffff"]}}, 0, None)
def test_round_trip(event, data, at, metadata):
    """What is parsed from the body equals what went in, and the keys keep their order."""
    body = envelope(event, data, at, metadata).content
    parsed = json.loads(body)
    keys = ["event", "data", "timestamp"] + (["metadata"] if metadata is not None else [])
    assert list(parsed) == keys
    assert parsed["event"] == event
    assert repr(parsed["data"]) == repr(data)  # also tells -0.0 from 0.0 and keeps the order
    assert repr(parsed.get("metadata")) == repr(metadata)


@given(objects)
def test_compact_and_literal(data):
    """No white space between tokens, no escape that JSON does not demand, valid UTF-8."""
    text = envelope("a.b", data, 0).content.decode("utf-8")
    numbers_aside = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    floats = any(isinstance(each, float) for each in flat(data))
    if not floats:  # 1e16 and 1e+16 are both right
        assert text.replace("\x7f", "\\u007f") == numbers_aside.replace("\x7f", "\\u007f")


def flat(value):
    """Yield every leaf of a value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from flat(each)
    else:
        yield value


@given(objects, moments, moments)
def test_the_digest_ignores_the_time_only(data, one, other):
    """Two envelopes of the same event have the same digest whenever they are made."""
    assert envelope("a.b", data, one).digest == envelope("a.b", data, other).digest


@given(values.filter(lambda value: not isinstance(value, dict)))
def test_only_objects(value):
    """Anything that is not an object is refused as data."""
    with pytest.raises(InvalidPayload, match="expected an object"):
        envelope("a.b", value, 0)


spoilt = st.sampled_from([math.nan, math.inf, -math.inf, {1}, b"x", 1j, "\ud800", object, {1: 1}])


@given(objects, spoilt, st.lists(st.sampled_from(["key", 0, 1]), max_size=6))
def test_one_bad_value_anywhere(data, bad, way):
    """One value JSON cannot carry, at any depth, refuses the whole with its exact path."""
    path, value = "", bad
    for step in reversed(way):
        if step == "key":
            value, path = {"key": value}, f".key{path}"
        else:
            value, path = [*[None] * step, value], f"[{step}]{path}"
    with pytest.raises(InvalidPayload) as caught:
        envelope("a.b", {**data, "bad": value}, 0)
    assert str(caught.value).startswith(f"data.bad{path}: ")


anything = st.recursive(
    leaves | spoilt | st.binary() | st.floats() | st.text() | st.dates() | st.decimals(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner)
        | st.frozensets(st.integers())
    ),
)


@given(anything, anything)
def test_nothing_but_a_clear_refusal(data, metadata):
    """Any Python value is either sent as valid JSON or refused as InvalidInput."""
    try:
        body = envelope("a.b", data, 0, metadata)
    except InvalidInput:
        return
    json.loads(body.content)
