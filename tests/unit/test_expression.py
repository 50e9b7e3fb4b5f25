"""Filters and transformations: what they say, what is refused at the door, what cannot hang."""

import json
import pickle
import subprocess
import sys
import time
import warnings

import jmespath
import pytest

from hookline import Trial
from hookline._domain.endpoint import Target
from hookline._domain.expression import (
    Document,
    Filter,
    Transform,
    check_filter,
    check_transform,
    try_filter,
    try_transform,
)
from hookline._domain.expression.functions import FUNCTIONS
from hookline._domain.expression.meter import MOST_STEPS, ExpressionFailed
from hookline._domain.options import checked
from hookline._storage.batch import RouteBatch
from hookline.errors import InvalidExpression, InvalidInput

BODY = {
    "event": "order.created",
    "data": {
        "id": "o-1",
        "amount": 129.5,
        "currency": "EUR",
        "vip": True,
        "note": "",
        "zero": 0,
        "customer": {"name": "张三", "country": "DE", "tags": ["new", "b2b"]},
        "items": [
            {"sku": "b", "qty": 3, "price": 2.5},
            {"sku": "a", "qty": 1, "price": 40},
            {"sku": "c", "qty": 3, "price": 1},
        ],
        "content-type": "text",
        "big": 123456789012345678901234567890,
    },
    "timestamp": "2025-10-17T10:30:00.000Z",
}
TRUE, FALSE = Trial(matched=True), Trial(matched=False)


def made(expression, example=BODY):
    """Return what `{x: expression}` makes of the body."""
    trial = try_transform(f"{{x: {expression}}}", json.dumps(example).encode())
    assert trial.problem is None, trial.problem
    return json.loads(trial.result)["x"]


def problem(expression, example=BODY):
    """Return why an expression has no result."""
    trial = try_transform(f"{{x: {expression}}}", json.dumps(example).encode())
    assert trial.result is None
    return trial.problem


# what they say -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "matched"),
    [
        ("event == 'order.created'", True),
        ("data.amount > `100`", True),
        ("data.amount > `200`", False),
        ("data.amount > `100` && data.currency == 'EUR'", True),
        ("data.currency == 'USD' || data.customer.country == 'DE'", True),
        ("contains(['DE', 'FR'], data.customer.country)", True),
        ("contains(data.customer.tags, 'b2b')", True),
        ("contains(data.customer.name, '张')", True),
        ("starts_with(event, 'order.')", True),
        ("data.vip", True),
        ("!data.vip", False),
        ("data.vip == `true`", True),
        ("data.note", False),
        ("data.zero", True),
        ("data.missing", False),
        ("data.missing.deeper == null_too", True),
        ("data.missing > `1`", False),
        ("data.currency > `1`", False),
        ("data.amount == data.currency", False),
        ("data.\"content-type\" == 'text'", True),
        ("data.items[?qty > `2`]", True),
        ("data.items[?qty > `9`]", False),
        ("length(data.items) == `3`", True),
        ("max(data.items[].price) >= `40`", True),
        ("event", True),
        (" data.vip\n", True),
    ],
)
def test_a_filter(text, matched):
    """A filter is true for an event, or it is not; null, false and what is empty count as false."""
    assert try_filter(text, json.dumps(BODY).encode()) == Trial(matched=matched)


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("data.id", "o-1"),
        ("data.missing", None),
        ("join(' ', ['Order', data.id])", "Order o-1"),
        ("to_string(data.amount)", "129.5"),
        ("to_string(data.customer)", '{"name":"张三","country":"DE","tags":["new","b2b"]}'),
        ("data.big", 123456789012345678901234567890),
        ("data.items[].sku", ["b", "a", "c"]),
        ("data.items[*].sku", ["b", "a", "c"]),
        ("data.items[?qty == `3`].{s: sku, p: price}", [{"s": "b", "p": 2.5}, {"s": "c", "p": 1}]),
        ("data.items[-1].sku", "c"),
        ("data.items[7]", None),
        ("data.items[::-1].sku", ["c", "a", "b"]),
        ("data.items[:1] | [0].qty", 3),
        ("data.customer.*", ["张三", "DE", ["new", "b2b"]]),
        ("data.[id, currency]", ["o-1", "EUR"]),
        ("[[`1`], [`2`, `3`]][]", [1, 2, 3]),
        ("sort_by(data.items, &sku)[].sku", ["a", "b", "c"]),
        ("sort_by(data.items, &qty)[].sku", ["a", "b", "c"]),
        ("max_by(data.items, &price).sku", "a"),
        ("min_by(data.items, &price).sku", "c"),
        ("max_by(`[]`, &price)", None),
        ("map(&price, data.items)", [2.5, 40, 1]),
        ("sum(data.items[].price)", 43.5),
        ("avg(data.items[].qty)", 7 / 3),
        ("avg(`[]`)", None),
        ("max(`[]`)", None),
        ("min(['b', 'a'])", "a"),
        ("sort(data.items[].price)", [1, 2.5, 40]),
        ("reverse(data.id)", "1-o"),
        ("reverse(data.items)[0].sku", "c"),
        ("keys(data.customer)", ["name", "country", "tags"]),
        ("values(data.items[1])", ["a", 1, 40]),
        ('merge(data.items[0], `{"qty": 9}`)', {"sku": "b", "qty": 9, "price": 2.5}),
        ("not_null(data.missing, data.note, 'x')", ""),
        ("data.note || 'none'", "none"),
        ("ceil(`1.2`)", 2),
        ("floor(`-1.2`)", -2),
        ("abs(`-3`)", 3),
        ("to_number('12.5')", 12.5),
        ("to_number('1_000')", None),
        ("to_number('1e999')", None),
        ("to_number(' 1')", None),
        ("to_array('x')", ["x"]),
        ("to_array(data.items)[0].sku", "b"),
        ("type(data.vip)", "boolean"),
        ("type(data.missing)", "null"),
        ("[`1`] == [`true`]", False),
        ("`0` == `false`", False),
        ("`1` == `1.0`", True),
        ('`{"a": 1, "b": [2]}` == `{"b": [2], "a": 1}`', True),
        ('`{"a": 1}` == `{"b": 1}`', False),
        ("[`1`, `2`] != [`1`]", True),
        ("'a' < 'b'", True),
        ("'a' < `1`", None),
        ("ends_with(data.id, '-1')", True),
        ("contains('abc', `1`)", False),
        ('`"a\\`b"`', "a`b"),
    ],
)
def test_an_expression(expression, result):
    """What JMESPath says, to the type."""
    found = made(expression)
    assert json.dumps(found) == json.dumps(result)


def test_every_function_is_known():
    """The functions are those of the specification, as `jmespath` has them."""
    assert set(FUNCTIONS) == set(jmespath.functions.Functions.FUNCTION_TABLE)


def test_a_transformation_keeps_what_it_is_given():
    """Order, characters and digits stay: what is looked at is sent as it was."""
    trial = try_transform("data", json.dumps(BODY).encode())
    wanted = json.dumps(BODY["data"], ensure_ascii=False, separators=(",", ":"))
    assert trial.result.decode() == wanted


def test_the_same_every_time():
    """A retry sends the same bytes."""
    text = "{a: data.items[?qty > `1`], b: keys(data), c: sort_by(data.items, &qty)}"
    body = json.dumps(BODY).encode()
    first = Transform(text).transformed(Document(body))
    assert all(Transform(text).transformed(Document(body)) == first for _ in range(20))
    code = (
        "import sys; from hookline._domain.expression import try_transform; "
        f"sys.stdout.buffer.write(try_transform({text!r}, {body!r}).result)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == first


# what has no result ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("starts_with(data.missing, 'a')", "starts_with: argument 1 is null, expected string"),
        ("join(',', data.items)", "join: argument 2 is array of object, expected array of strings"),
        ("join(',', [data.id, data.amount])", "join: argument 2 is array of number and string, "),
        ("length(data.amount)", "length: argument 1 is number, expected string or array or object"),
        ("sort(data.items)", "sort: argument 1 is array of object, expected array of numbers or "),
        ("sort_by(data.items, &missing)", "sorts by all numbers or all strings, not by null"),
        ("sum([`1e308`, `1e308`])", "a number is beyond what can be calculated with"),
    ],
)
def test_no_result(expression, why):
    """What a function cannot take is said by type, never by value."""
    assert problem(expression).startswith(why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("data.id", "the result is string, expected object"),
        ("data.missing", "the result is null, expected object"),
        ("data.items", "the result is array, expected object"),
    ],
)
def test_a_transformation_is_an_object(text, why):
    """Anything else is no body."""
    assert try_transform(text, BODY_BYTES) == Trial(problem=why)


BODY_BYTES = json.dumps(BODY).encode()


def test_a_filter_that_fails_lets_the_event_through():
    """Nothing is lost to a mistake in an expression."""
    trial = try_filter("starts_with(data.missing, 'a')", BODY_BYTES)
    assert trial == Trial(matched=True, problem="starts_with: argument 1 is null, expected string")


@pytest.mark.parametrize("body", [b"", b"hello", b"\xff", b"[" * 5000, b'{"a": NaN}', b"9" * 5000])
def test_a_body_that_is_not_json(body):
    """Filters let it through and say so; there is nothing to transform."""
    verdict = Filter("a == 'b'").passes(Document(body))
    assert verdict.passes
    assert verdict.problem == ("the body is not JSON" if body else "the body is empty")
    with pytest.raises(ExpressionFailed, match=verdict.problem):
        Transform("{a: a}").transformed(Document(body))


def test_without_jmespath(monkeypatch):
    """At the door it is said what to install; an endpoint that is stored already loses nothing."""
    for name in [n for n in sys.modules if n == "jmespath" or n.startswith("jmespath.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jmespath", None)
    with pytest.raises(InvalidInput, match=r"^filter: .*pip install 'hookline\[filters\]'"):
        check_filter("unheard_of == 'b'")
    target = Target(b"k", 0, "https://a.example/", filter="unheard_of > `1`", transform="{z: q}")
    verdict = target.judges(Document(b"{}"))
    assert verdict.passes
    assert "pip install" in verdict.problem
    with pytest.raises(ExpressionFailed, match="pip install"):
        target.body_of(b"{}", 100)


def test_an_expression_changed_by_other_means():
    """What no longer parses behaves like what has no result."""
    target = Target(b"k", 0, "https://a.example/", filter="data ==", transform="{a:")
    assert target.judges(Document(b"{}")).passes
    with pytest.raises(ExpressionFailed, match="ends too soon"):
        target.body_of(b"{}", 100)


# at the door -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", None, "is empty"),
        (" \n", None, "is empty"),
        ("data.", 6, "ends too soon"),
        ("data.amount > 100", 15, "unexpected 100; a number is written in backticks, `100`"),
        ("data.x = 'y'", 8, "unexpected '='"),
        ("data x", 6, "unexpected 'x'"),
        ("$.data", 1, "unexpected '$'"),
        ("data.x == 'y", 11, "the ' is never closed"),
        ("data.x == `y", 11, "the ` is never closed"),
        ('data."x == 1', 6, 'the " is never closed'),
        ("data.x == `y`", 11, "`y` is no JSON; for text write 'y'"),
        ("data.x == `NaN`", 11, "`NaN` is no JSON; for text write 'NaN'"),
        ("data.x == `1e999`", 11, "`1e999` is no JSON; for text write '1e999'"),
        ("data.\"\\ud800\" == 'x'", 6, '"\\ud800" is no JSON'),
        ('data.x == "y"', 11, "\"y\" in double quotes names a field; for text write 'y'"),
        ('contains(data.x, "y")', 18, '"y" in double quotes names a field'),
        ('data.x || "none"', 11, '"none" in double quotes names a field'),
        ("data.vip == true", 13, "true names a field; for the value write `true` in backticks"),
        ("data.x != null", 11, "null names a field"),
        ("startswith(a, 'b')", 1, "there is no function startswith; did you mean starts_with or"),
        ("a && regex(b)", 6, "there is no function regex; "),
        ("starts_with(a)", 1, "starts_with takes 2 arguments, 1 given"),
        ("length()", 1, "length takes 1 argument, 0 given"),
        ("not_null()", 1, "not_null takes 1 or more arguments, 0 given"),
        ("join(',' a)", 1, "join takes 2 arguments, 1 given"),
        ("join(',', a,)", 12, "unexpected ','"),
        ("map(&a,)", 7, "unexpected ','"),
        ("length(a b)", None, "length takes 1 argument, 2 given"),
        ("a && length(b, join(',', c))", 6, "length takes 1 argument, 2 given"),
        ("sort_by(a, b)", 12, "sort_by: argument 2 is an expression, written with &: &name"),
        ("length(&a)", 8, "& is for the functions that take an expression"),
        ("&a", 1, "& is for the functions that take an expression"),
        ("map(&a == &b, c)", 11, "& is for the functions that take an expression"),
        ("a[::0]", None, "a slice has the step 0"),
        ("a[" + "9" * 5000, None, None),
        ("(" * 2000 + "a" + ")" * 2000, None, "is nested too deeply"),
        ("!" * 100 + "a", None, "is nested deeper than 60 levels"),
        ("a" + "[]" * 100, None, "is nested deeper than 60 levels"),
        ("a == `" + "[" * 200 + "]" * 200 + "`", 6, "is nested deeper than 100 levels"),
        ("a == `" + "[" * 2000 + "]" * 2000 + "`", 6, None),
        ("`true`", None, "is the same for every event; compare something: data.x == 'y'"),
        ("'data.x == 1'", None, "is the same for every event; "),
        ("{a: b}", None, "is the same for every event; "),
        ("a | [b]", None, "is the same for every event; "),
    ],
)
def test_refused(text, position, reason):
    """Whatever cannot be a filter is refused with its position and what is wrong."""
    if len(text) > 4096 or reason is None:
        with pytest.raises(InvalidInput, match=r"^filter: "):
            check_filter(text)
        return
    with pytest.raises(InvalidExpression) as caught:
        check_filter(text)
    error = caught.value
    assert (error.name, error.position) == ("filter", position)
    assert error.reason.startswith(reason)
    where = "" if position is None else f"position {position}: "
    assert str(error) == f"filter: {where}{error.reason}"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("data.x == 'y'", "true or false"),
        ("!data", "true or false"),
        ("data.items[]", "an array"),
        ("data | [a, b]", "an array"),
        ("'text'", "string"),
        ("`3`", "number"),
    ],
)
def test_never_an_object(text, made):
    """A transformation that can only fail is refused."""
    with pytest.raises(InvalidExpression, match=f"^transform: makes {made}, expected an object"):
        check_transform(text)


@pytest.mark.parametrize("text", ['`{"a": 1}`', "data", "{a: b}", "merge(data, {a: b})", "a || b"])
def test_may_be_an_object(text):
    """What may be one is taken, as it is written."""
    assert check_transform(text) == text


@pytest.mark.parametrize("value", [1, True, b"data", ["data"], {"a": "b"}, "a\0b", "\ud800"])
def test_no_text(value):
    """Other types, and text that no database keeps."""
    for check in (check_filter, check_transform):
        with pytest.raises(InvalidInput):
            check(value)


def test_the_length_is_bounded():
    """4,096 characters are accepted, one more is not."""
    text = "a == '" + "x" * 4089 + "'"
    assert len(text) == 4096
    assert check_filter(text) == text
    with pytest.raises(InvalidInput, match="filter: 4097 characters"):
        check_filter(text + " ")


def test_the_number_of_parts_is_bounded():
    """A thousand fields are accepted, one more is not."""
    fields = ", ".join(["a"] * 997)
    assert check_filter(f"[{fields}] | @") == f"[{fields}] | @"
    with pytest.raises(InvalidExpression, match="filter: has 1,001 parts, at most 1,000"):
        check_filter(f"[{fields}, a] | @")


def test_nothing_is_remembered_of_what_was_tried():
    """The library's cache, which all of a process share, does not keep what strangers write."""
    try_filter("never.seen.before == 'x'", {})
    assert "never.seen.before == 'x'" not in jmespath.parser.Parser._CACHE


def test_long_chains_are_no_nesting():
    """A hundred alternatives are as good as one."""
    text = " || ".join(f"data.x == '{n}'" for n in range(200))
    assert try_filter(text, {"data": {"x": "199"}}) == TRUE
    assert try_filter(text.replace("||", "&&"), {"data": {"x": "199"}}) == FALSE
    assert try_filter(" | ".join(["@"] * 500) + " | a", {"a": 1}) == TRUE


def test_options_are_checked():
    """`register` and the file take both, None for none."""
    assert checked({"filter": "a == 'b'", "transform": "{a: b}"}) == {
        "filter": "a == 'b'",
        "transform": "{a: b}",
    }
    assert checked({"filter": None, "transform": None}) == {}
    with pytest.raises(InvalidExpression, match=r"^transform: position 2"):
        checked({"transform": "{"})


def test_the_error_survives_a_process():
    """It is pickled with its parts."""
    with pytest.raises(InvalidExpression) as caught:
        check_filter("a == 1")
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (str(again), again.position, again.name) == (str(caught.value), 6, "filter")


def test_examples():
    """A dict or the bytes of one; anything else is refused."""
    assert try_filter("a", {"a": 1}) == try_filter("a", b'{"a":1}') == TRUE
    for bad in ("{}", 1, None, b"", b"{", {"a": object()}):
        with pytest.raises(InvalidInput, match=r"^example: "):
            try_filter("a", bad)
        with pytest.raises(InvalidInput, match=r"^example: "):
            try_transform("a", bad)


# hostile -----------------------------------------------------------------------------------------

DOUBLED = " | ".join(["[@, @]"] * 40)
LISTS = " | ".join(["[@, @][]"] * 40)
MANY = json.dumps({"items": [{"n": n, "t": "x" * 40} for n in range(1500)]}).encode()
HUGE = json.dumps({"items": [[n] for n in range(120_000)]}).encode()
LONG = json.dumps({"items": ["x" * 1_000_000, "x" * 999_999 + "y"]}).encode()
BOMBS = {
    "doubled": f"{{a: {DOUBLED}}}",
    "doubled, flattened": f"{{a: items | {LISTS}}}",
    "doubled, compared": f"{{a: ({DOUBLED}) == ({DOUBLED})}}",
    "doubled, as text": f"{{a: to_string({DOUBLED})}}",
    "doubled text": "{a: to_string(@) | " + " | ".join(["join('', [@, @])"] * 60) + "}",
    "doubled text, joined": "{a: join(to_string(@), map(&'', items))}",
    "every item with every item": "{a: items[].[@, @, @, @][].[@, @, @, @][].[@, @, @, @][].[n]}",
    "all in all": f"{{a: items | {' | '.join(['[@, @, @, @][]'] * 8)} | map(&to_string(@), @)}}",
    "loops in loops": "{a: items | map(&map(&map(&@, @), [@, @]), [@, @])"
    " | [[@, @], [@, @]] | [][] | sort_by(@, &to_string(@))}",
    "sorted long texts": f"{{a: items | {' | '.join(['[@, @][]'] * 12)} | sort(@)}}",
    "searched long texts": f"{{a: items | {' | '.join(['[@, @][]'] * 12)} | [?contains(@, 'y')]}}",
    "compared long texts": f"{{a: items | {' | '.join(['[@, @][]'] * 12)} | [?@ == 'y']}}",
    "keys of keys": "{a: items | map(&keys({"
    + ", ".join(f"k{n}: @" for n in range(300))
    + "}), @)}",
    "nested": "{a: " + "[" * 50 + "@" + "]" * 50 + "}",
    "reversed": "{a: items | " + " | ".join(["reverse([@, @][])"] * 30) + "}",
    "merged": "{a: merge(" + ", ".join(["@"] * 900) + ")}",
    "flattened and flattened": "{a: items" + "[]" * 25 + "}",
}


@pytest.mark.parametrize(
    "body", [BODY_BYTES, MANY, HUGE, LONG], ids=["small", "many", "1 MB", "long"]
)
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_nothing_hangs(bomb, body):
    """Whatever an expression does with a body, it ends in time, and what it makes is bounded."""
    began = time.process_time()
    trial = try_transform(bomb, body)
    try_filter(f"({bomb}).a", body)
    assert time.process_time() - began < 5, "CPU seconds"
    assert (trial.result is None) != (trial.problem is None)
    assert trial.result is None or len(trial.result) <= 1 << 20


def test_steps_are_counted_by_what_they_cost():
    """An evaluation is stopped by its steps: a loop over a loop over 1,500 items."""
    verdict = Filter("items | map(&length([@, @, @, @]), [@, @, @, @, @, @][][][])").passes(
        Document(MANY)
    )
    assert verdict.steps > 1500
    worst = Filter(BOMBS["doubled, flattened"] + ".a").passes(Document(MANY))
    assert worst.passes
    assert worst.problem.startswith("takes too long on this body")
    assert worst.steps >= MOST_STEPS


def test_many_cheap_filters_fill_a_routing_batch():
    """Filters that let nothing through write no rows, and yet end the transaction in time."""
    targets = [
        Target(n.to_bytes(16), 0, "https://a.example/", filter=f"data.n == `{n}` && data.x")
        for n in range(1000)
    ]
    batch = RouteBatch(0, 0, 1, lambda _: 0)
    asked = 0
    while not batch.full:
        last = batch.add(targets, None, asked.to_bytes(16), "a.b", b'{"data":{}}', None)
        asked += 1000 if last is None else int.from_bytes(last) + 1
    assert batch.rows == []
    assert asked < 40_000, "evaluations, of 5 us each"


def test_one_pass_over_a_large_body_is_never_too_long():
    """An ordinary filter works on whatever an event may hold: 1 MiB of items."""
    items = [{"sku": f"A-{n}", "qty": n % 7, "price": 1.5} for n in range(24_000)]
    body = json.dumps({"data": {"items": items}}).encode()
    assert 1_000_000 < len(body) < 1 << 20
    assert try_filter("data.items[?qty > `5`] | [0]", body) == TRUE
    assert try_filter("data.items[?sku == 'none']", body) == FALSE


def test_a_result_is_bounded():
    """A body that was made is no larger than one that was triggered; not by a byte."""
    text = "{a: data}"
    exact = Transform(text).transformed(Document(BODY_BYTES))
    document = Document(BODY_BYTES)
    assert Transform(text).transformed(document, len(exact)) == exact
    with pytest.raises(ExpressionFailed, match=r"larger than|more than"):
        Transform(text).transformed(document, len(exact) - 1)


def test_the_body_is_not_changed():
    """Filters share the parsed body: none can leave anything in it for the next."""
    document = Document(BODY_BYTES)
    for text in (
        "merge(data, {id: 'x'}).id == 'x'",
        "sort(data.customer.tags)",
        "reverse(data.items)",
    ):
        assert Filter(text).passes(document).problem is None
    assert json.loads(Transform("data").transformed(document)) == BODY["data"]


def test_no_warning_is_raised():
    """The parser's deprecated forms are refused before it meets them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InvalidExpression):
            check_filter("a == `text`")
