"""The bytes of one member, exactly as sent, out of any JSON object that anybody writes."""

import json
import re

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hookline._web.bodies import MAX_DEPTH, parse, raw_member
from hookline._web.errors import Refused

SPACE = st.text(alphabet=" \t\r\n", max_size=3)
HEX = "0123456789abcdefABCDEF"


@st.composite
def texts(draw):
    """A JSON text: every character as itself, by name, or by number."""
    parts = []
    for character in draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=8)):
        by_number = json.dumps(character)[1:-1]
        forms = [by_number]
        if character >= " " and character not in '"\\':
            forms.append(character)
        if ord(character) < 0x10000:
            forms.append(f"\\u{ord(character):04X}")
        parts.append(draw(st.sampled_from(forms)))
    return '"' + "".join(parts) + '"'


NUMBERS = st.from_regex(
    re.compile(r"-?(0|[1-9]\d{0,30})(\.\d{1,30})?([eE][+-]?\d{1,2})?", re.ASCII), fullmatch=True
)
SCALARS = st.one_of(st.sampled_from(["null", "true", "false"]), NUMBERS, texts())


@st.composite
def lists(draw, inner):
    items = draw(st.lists(inner, max_size=3))
    return "[" + ",".join(draw(SPACE) + item + draw(SPACE) for item in items) + draw(SPACE) + "]"


@st.composite
def objects(draw, inner):
    pairs = draw(st.lists(st.tuples(texts(), inner), max_size=3))
    members = [
        draw(SPACE) + key + draw(SPACE) + ":" + draw(SPACE) + value + draw(SPACE)
        for key, value in pairs
    ]
    return "{" + ",".join(members) + draw(SPACE) + "}"


VALUES = st.recursive(SCALARS, lambda inner: st.one_of(lists(inner), objects(inner)), max_leaves=8)


@given(
    pairs=st.lists(st.tuples(texts(), VALUES), max_size=5),
    value=VALUES,
    at=st.integers(0, 5),
    key=st.sampled_from(['"payload"', '"pay\\u006coad"', '"\\u0070ayload"']),
    data=st.data(),
)
def test_the_bytes_are_those_that_were_sent(pairs, value, at, key, data):
    """Whatever stands around them, and however the name is written."""
    names = [orjson.loads(name.encode()) for name, _ in pairs]
    assume(len({*names, "payload"}) == len(pairs) + 1)
    pairs.insert(at, (key, value))
    space = lambda: data.draw(SPACE)  # noqa: E731
    members = [space() + k + space() + ":" + space() + v + space() for k, v in pairs]
    body = (space() + "{" + ",".join(members) + "}" + space()).encode()
    assert raw_member(body, "payload") == value.encode()
    assert raw_member(body, "payload", parse(body)) == value.encode()
    for name, (_, other) in zip(names, [p for p in pairs if p[0] != key], strict=True):
        assert raw_member(body, name) == other.encode()


@given(document=st.dictionaries(st.text(max_size=5), st.integers(0, 9)), name=st.text(max_size=5))
def test_what_is_not_there(document, name):
    """None, and nothing else."""
    try:
        body = orjson.dumps(document)
    except orjson.JSONEncodeError:
        return
    found = raw_member(body, name)
    assert (found is None) == (name not in document)


@given(
    body=st.one_of(st.binary(max_size=40), st.text('{}[]",:\\ a1n', max_size=25).map(str.encode))
)
def test_any_bytes_are_refused_or_understood(body):
    """Never another error; and what is given back is JSON that means the same."""
    try:
        found = raw_member(body, "a")
    except Refused:
        return
    document = orjson.loads(body)
    assert (found is None) == ("a" not in document)
    if found is not None:
        assert orjson.loads(found) == document["a"]
        assert found in body


@pytest.mark.parametrize(
    "body",
    [
        b'{"payload":1,"payload":1}',
        b'{"payload":{},"pay\\u006coad":{}}',
        b'{"x":1,"x":2,"payload":{}}',
    ],
)
def test_a_name_twice_is_refused(body):
    """Two readers would take two different ones."""
    with pytest.raises(Refused, match="twice"):
        raw_member(body, "payload")


@pytest.mark.parametrize("body", [b"[]", b'"payload"', b"1", b"null"])
def test_only_objects_have_members(body):
    """422."""
    with pytest.raises(Refused, match="expected an object"):
        raw_member(body, "payload")


@pytest.mark.parametrize(
    "value",
    [
        b"1.000000000000000000000000000000000001",
        b"123456789012345678901234567890",
        b'{"a":1,"a":2}',
        b"-0.0e-10",
        b'"\\/\\u00e9\\ud83d\\ude00"',
    ],
)
def test_digits_and_escapes_stay(value):
    """A receiver gets what the sender wrote, not what Python makes of it."""
    assert raw_member(b'{"payload" :\t' + value + b"\n}", "payload") == value


@pytest.mark.parametrize(
    "value", [b"NaN", b"-Infinity", b"1e999", b'"\\ud800"', b"01", b"1.", b"'a'", b'"\x00"']
)
def test_what_no_reader_agrees_on_is_refused(value):
    """Also deep inside of the payload."""
    with pytest.raises(Refused) as caught:
        raw_member(b'{"payload":[' + value + b"]}", "payload")
    assert caught.value.detail[0].type == "value_error.jsondecode"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth(opening):
    """A hundred levels at most, counted over objects and lists; brackets in texts do not count."""
    closing = b"]" if opening == b"[" else b"}"

    def nested(depth):
        return opening * depth + (b"1" if opening != b"[" else b"") + closing * depth

    assert parse(nested(MAX_DEPTH))
    with pytest.raises(Refused, match="nested"):
        parse(nested(MAX_DEPTH + 1))
    assert parse(b'["' + b"[{" * 500 + b'"]')
    assert parse(b"[" + b",".join([b"[[]]"] * 500) + b"]")
