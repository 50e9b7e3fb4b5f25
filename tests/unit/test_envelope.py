"""The body of a webhook: its form to the byte, and what it refuses."""

import dataclasses
import json
from collections import OrderedDict, defaultdict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from uuid import UUID

import pydantic
import pytest

from hookline._domain.envelope import MAX_DEPTH, envelope, iso
from hookline.errors import InvalidPayload, PayloadTooLarge

MOMENT = 1_760_697_000_000  # 2025-10-17T10:30:00Z


def content(data, metadata=None, **options):
    """Return the body as bytes."""
    return envelope("customer.created", data, MOMENT, metadata, **options).content


def value(each):
    """Return what becomes of one value of `data`."""
    return json.loads(content({"x": each}))["data"]["x"]


def refusal(data, metadata=None, **options):
    """Return the message of the refusal."""
    with pytest.raises(InvalidPayload) as caught:
        content(data, metadata, **options)
    return str(caught.value)


def test_the_guides_form():
    """Key order event, data, timestamp, metadata; compact; UTC with milliseconds and Z."""
    assert (
        content({"id": "123", "name": "张三"}, {"user_id": "u1"})
        == (
            '{"event":"customer.created","data":{"id":"123","name":"张三"},'
            '"timestamp":"2025-10-17T10:30:00.000Z","metadata":{"user_id":"u1"}}'
        ).encode()
    )


def test_no_metadata_no_key():
    """Without metadata the key is left out; an empty object is kept."""
    assert content({}) == (
        b'{"event":"customer.created","data":{},"timestamp":"2025-10-17T10:30:00.000Z"}'
    )
    assert content({}, {}).endswith(b',"metadata":{}}')


def test_order_of_keys_is_kept():
    """The keys of data stay in the order they were given."""
    assert b'{"z":1,"a":2,"m":{"y":1,"b":2}}' in content({"z": 1, "a": 2, "m": {"y": 1, "b": 2}})


def test_text_as_itself():
    """Non-ASCII is written as itself, never escaped, and no byte order mark is put in front."""
    text = "张三 Zoë 漢字 😀 \u2028 \u00a0 \x7f"
    body = content({"x": text})
    assert f'"{text}"'.encode() in body
    assert b"\\u" not in body
    assert body.startswith(b"{")


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_760_697_000_007, "2025-10-17T10:30:00.007Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_times(milliseconds, text):
    """Four digits of year, three of milliseconds, always Z."""
    assert iso(milliseconds) == text


class Colour(StrEnum):
    """An enumeration of text."""

    RED = "red"


class Level(IntEnum):
    """An enumeration of numbers."""

    HIGH = 3


class Shape(Enum):
    """An enumeration of a container."""

    BOX = (1, Colour.RED)


class Text(str):
    """A subclass of text, as some libraries have it."""

    __slots__ = ()


class Whole(int):
    """A subclass of int."""


class Real(float):
    """A subclass of float."""


@dataclasses.dataclass
class Line:
    """A dataclass with values of its own."""

    sku: str
    price: Decimal
    at: datetime | None = None


class Customer(pydantic.BaseModel):
    """A pydantic model with values of its own."""

    model_config = {"populate_by_name": True}
    id: UUID
    born: date | None = None
    lines: list[Line] = []


Point = namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind is what is tested
KEY = UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (datetime(2025, 10, 17, 10, 30, tzinfo=UTC), "2025-10-17T10:30:00Z"),
        (datetime(2025, 10, 17, 10, 30, 0, 5, tzinfo=UTC), "2025-10-17T10:30:00.000005Z"),
        (
            datetime(2025, 10, 17, 18, 30, tzinfo=timezone(timedelta(hours=8))),
            "2025-10-17T18:30:00+08:00",
        ),
        (datetime(2025, 10, 17), "2025-10-17T00:00:00"),  # noqa: DTZ001 - as people have them
        (date(2025, 10, 17), "2025-10-17"),
        (time(10, 30), "10:30:00"),
        (Decimal("12.50"), "12.50"),
        (KEY, str(KEY)),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Shape.BOX, [1, "red"]),
        (Text("text"), "text"),
        (Whole(7), 7),
        (Real(0.5), 0.5),
        (Point(1, 2), [1, 2]),
        ((1, (2, 3)), [1, [2, 3]]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({Colour.RED: 1, Text("b"): 2}, {"red": 1, "b": 2}),
        (Line("a1", Decimal("1.0")), {"sku": "a1", "price": "1.0", "at": None}),
        ([Line("a1", Decimal(1))], [{"sku": "a1", "price": "1", "at": None}]),
        (
            Customer(id=KEY, born=date(2000, 1, 2), lines=[Line("b", Decimal("2.50"))]),
            {
                "id": str(KEY),
                "born": "2000-01-02",
                "lines": [{"sku": "b", "price": "2.50", "at": None}],
            },
        ),
        (None, None),
        (True, True),
        ("", ""),
    ],
    ids=repr,
)
def test_accepted_types(given, expected):
    """Everything Python people put into an event has its JSON form, at any depth."""
    assert value(given) == expected
    assert value([{"deep": given}]) == [{"deep": expected}]


@pytest.mark.parametrize(
    "data",
    [Customer(id=KEY), Line("a", Decimal(1)), MappingProxyType({"a": 1}), OrderedDict(a=1)],
    ids=["pydantic model", "dataclass", "mapping", "ordered"],
)
def test_objects_may_be_data(data):
    """Data and metadata may themselves be a model, a dataclass or any mapping."""
    body = json.loads(content(data, data))
    assert body["data"] == body["metadata"]
    assert isinstance(body["data"], dict)


NESTED: dict = {}
NESTED["self"] = [NESTED]
DEEP: list = []
for _ in range(MAX_DEPTH):
    DEEP = [DEEP]


class Unserialisable(pydantic.BaseModel):
    """A model whose value has no JSON form."""

    model_config = {"arbitrary_types_allowed": True}
    thing: object


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"a": float("nan")}, "data.a: JSON has no nan"),
        ({"a": [1, {"b": float("inf")}]}, "data.a[1].b: JSON has no inf"),
        ({"a": (0, float("-inf"))}, "data.a[1]: JSON has no -inf"),
        ({"a": Decimal("NaN")}, "data.a: JSON has no NaN"),
        ({"a": Real("nan")}, "data.a: JSON has no nan"),
        ({"a": {"b": [{1, 2}]}}, "data.a.b[0]: set has no JSON form"),
        ({"a": b"bytes"}, "data.a: bytes has no JSON form"),
        ({"a": object()}, "data.a: object has no JSON form"),
        ({"a": Line}, "data.a: type has no JSON form"),
        ({"a": (n for n in "x")}, "data.a: generator has no JSON form"),
        ({"a": 1j}, "data.a: complex has no JSON form"),
        ({"a": {1: 2}}, "data.a: the key 1 is int"),
        ({None: 2}, "data: the key None is NoneType"),
        ({"a": {Level.HIGH: 2}}, "data.a: the key"),
        ({"a": "x\ud800y"}, "data.a: the text has a lone surrogate"),
        ({"a": {"\udfff": 1}}, "data.a: the text has a lone surrogate"),
        ({"a": [0, Line("\ud800", Decimal(1))]}, "data.a[1].sku: the text has a lone surrogate"),
        ({"a": 10**5000}, "data.a: an integer of 16610 bits"),
        ({"a": [Unserialisable(thing=object())]}, "data.a[0]: Unserialisable cannot be dumped"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_refused_with_its_path(data, words):
    """What JSON cannot carry is refused with the exact path of the value, in metadata too."""
    assert refusal(data).startswith(words)
    assert refusal({}, data).startswith(words.replace("data", "metadata", 1))


def test_too_deep():
    """A hundred levels pass; more, or a thing that contains itself, are refused with a path."""
    fits = DEEP
    for _ in range(2):
        fits = fits[0]
    content({"a": fits})
    assert refusal({"a": DEEP}).startswith("data.a[0][0]")
    assert "nested deeper than 100 levels (or contains itself)" in refusal(NESTED)


def test_a_dataclass_that_contains_itself():
    """The guard against endless nesting holds for dataclasses too."""
    line = Line("a", Decimal(1))
    line.at = line
    assert "contains itself" in refusal({"line": line})


@pytest.mark.parametrize(
    "data", [None, [], "text", 7, (), b"", {1}, object()], ids=lambda data: type(data).__name__
)
def test_data_must_be_an_object(data):
    """Data and metadata are objects; anything else is refused by the name of its type."""
    words = (
        f"expected an object (a dict, a pydantic model or a dataclass), got {type(data).__name__}"
    )
    if data is None or isinstance(data, list | str | int | tuple):
        assert refusal(data) == f"data: {words}"
    else:
        assert refusal(data).startswith("data: ")
    if data is not None:
        assert refusal({}, data).startswith("metadata: ")


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**63, 2**64, 10**30, -(10**30)])
def test_large_integers_are_noted(number):
    """Integers JavaScript cannot hold are sent exactly, with a note that names the path."""
    body = envelope("a.b", {"a": [{"id": number}], "ok": 2**53}, MOMENT, {"id": number})
    assert json.loads(body.content)["data"]["a"][0]["id"] == number
    assert [note.partition(":")[0] for note in body.notes] == ["data.a[0].id", "metadata.id"]


def test_large_integers_among_non_ascii():
    """An integer beyond 64 bits does not change how the text beside it is written."""
    assert '{"name":"张三","id":100000000000000000000}'.encode() in content(
        {"name": "张三", "id": 10**20}
    )


def test_sizes():
    """Bodies above the advised sizes are noted, above the limit refused with both figures."""
    overhead = len(content({"x": ""}))

    def noted(size, **options):
        return envelope("customer.created", {"x": "y" * (size - overhead)}, MOMENT, **options).notes

    assert noted(20_000) == ()
    assert "advises at most 20,000" in noted(20_001)[0]
    assert "advises at most 20,000" in noted(102_400)[0]
    assert "refuse more than 102,400" in noted(102_401)[0]
    assert len(noted(1 << 20)) == 1
    with pytest.raises(PayloadTooLarge, match=r"1,048,577 bytes, at most 1,048,576"):
        noted((1 << 20) + 1)
    with pytest.raises(PayloadTooLarge, match=r"2,001 bytes, at most 2,000"):
        noted(2001, limit=2000)


def test_the_size_is_in_bytes():
    """Chinese text counts three bytes a character."""
    with pytest.raises(PayloadTooLarge):
        content({"x": "张" * 400_000})


def test_the_digest_stands_for_the_event():
    """The same event, data and metadata have the same digest at any time; others differ."""

    def digest(*arguments, at=MOMENT):
        event, data, *metadata = arguments
        return envelope(event, data, at, *metadata).digest

    same = digest("a.b", {"x": 1}, {"y": 1})
    assert digest("a.b", {"x": 1}, {"y": 1}, at=MOMENT + 1) == same
    others = [
        digest("a.c", {"x": 1}, {"y": 1}),
        digest("a.b", {"x": 2}, {"y": 1}),
        digest("a.b", {"x": 1}, {"y": 2}),
        digest("a.b", {"x": 1}),
        digest("a.b", {"x": 1}, {}),
        digest("a.b", {"y": 1}, {"x": 1}),
    ]
    assert len({same, *others}) == len(others) + 1


def test_the_given_data_is_not_changed():
    """Publishing leaves the caller's objects as they are."""
    data = {"a": [1, {"b": Colour.RED}], "c": {"d": KEY}}
    before = repr(data)
    content(data)
    assert repr(data) == before
