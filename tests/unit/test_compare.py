"""Which change of the catalogue breaks receivers, change by change."""

from dataclasses import replace
from datetime import date

import pytest

from hookline._domain.catalogue.changes import changes, document, read
from hookline._domain.catalogue.compare import compare
from hookline._domain.catalogue.described import Declared, Deprecation, body_schema
from hookline.errors import InvalidInput
from hookline.events import event

TODAY = date(2030, 6, 1)
TEXT, NULL = {"type": "string"}, {"type": "null"}


def field(schema, *, required=True):
    return {
        "type": "object",
        "properties": {"f": schema},
        "required": ["f"] if required else [],
    }


@pytest.mark.parametrize(
    ("old", "new", "breaking", "said"),
    [
        (TEXT, {"type": "integer"}, True, "f: was string, is integer"),
        (TEXT, {"anyOf": [TEXT, NULL]}, True, "f: was string, may also be null now"),
        ({"anyOf": [TEXT, NULL]}, TEXT, False, "f: null is not sent any more"),
        ({"type": "integer"}, {"type": "number"}, True, "f: was integer, is number"),
        ({"type": "number"}, {"type": "integer"}, False, "f: was number, is integer"),
        (TEXT, {}, True, "f: was string, may be anything now"),
        ({}, TEXT, False, "f: was anything, is string"),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, True, 'f: may be "b" now, was "a"'),
        ({"enum": ["a", "b"]}, {"const": "a"}, False, 'f: "b" is not sent any more'),
        ({"enum": ["a"]}, TEXT, True, 'f: was one of "a", may be any string now'),
        (TEXT, {"enum": ["a"]}, False, 'f: is one of "a" now'),
        ({"const": 1}, {"const": True}, True, "f: was 1, is true"),
        (
            {**TEXT, "format": "date"},
            {**TEXT, "format": "date-time"},
            True,
            'f: format was "date", is "date-time"',
        ),
        ({**TEXT, "format": "uuid"}, TEXT, True, 'f: format "uuid" does not hold any more'),
        (TEXT, {**TEXT, "format": "uuid"}, False, 'f: has format "uuid" now'),
        ({**TEXT, "maxLength": 5}, {**TEXT, "maxLength": 9}, True, "f: maxLength was 5, is 9"),
        ({**TEXT, "maxLength": 9}, {**TEXT, "maxLength": 5}, False, "f: maxLength was 9, is 5"),
        ({**TEXT, "pattern": "a"}, {**TEXT, "pattern": "b"}, True, 'f: pattern was "a", is "b"'),
        (
            {"type": "array", "items": TEXT},
            {"type": "array", "items": {"type": "integer"}},
            True,
            "f[]: was string, is integer",
        ),
        (
            {"type": "array", "prefixItems": [TEXT, TEXT]},
            {"type": "array", "prefixItems": [TEXT, NULL]},
            True,
            "f[1]: was string, is null",
        ),
        (
            {"type": "object", "additionalProperties": TEXT},
            {"type": "object", "additionalProperties": NULL},
            True,
            "f.*: was string, is null",
        ),
        (field(TEXT), field(TEXT, required=False), True, "f.f: was always there, may be missing"),
        (field(TEXT, required=False), field(TEXT), False, "f.f: is always there now"),
        (field(TEXT), {"type": "object"}, True, "f.f: was removed"),
        ({"type": "object"}, field(TEXT), False, "f.f: was added"),
        (
            {"allOf": [field(TEXT)]},
            {"$ref": "#/properties/g"},
            True,
            "f: was object, is string",
        ),
    ],
)
def test_one_change(old, new, breaking, said):
    """What it is, and whether it breaks: what the new schema allows, the old one must have."""
    new = {**field(new), "properties": {"f": new, "g": TEXT}} if "$ref" in new else field(new)
    found = [each for each in compare(field(old), new) if each.path != "g"]
    assert [each.breaking for each in found] == [breaking]
    assert str(found[0]).startswith(said)


def test_words_are_no_change():
    """Titles, descriptions, examples and defaults are for people."""
    assert compare(TEXT, {**TEXT, "title": "T", "description": "d", "examples": ["x"]}) == []


def test_alternatives_are_compared_with_their_like():
    """In a union of objects the one that changed is named, not all of them."""

    def shape(kind, **more):
        return {
            "type": "object",
            "properties": {"kind": {"const": kind}, **more},
            "required": ["kind", *more],
        }

    old = {"oneOf": [shape("a", x=TEXT), shape("b", y=TEXT)]}
    new = {"oneOf": [shape("b", y=NULL), shape("a", x=TEXT)]}
    assert [str(each) for each in compare(old, new)] == ["y: was string, is null"]
    more = {"oneOf": [*old["oneOf"], shape("c")]}
    assert any(each.breaking for each in compare(old, more))


def test_a_schema_that_contains_itself():
    """Is compared once, wherever it changed."""

    def tree(value):
        node = field(value)
        node["properties"]["below"] = {"type": "array", "items": {"$ref": "#/$defs/N"}}
        return {"$ref": "#/$defs/N", "$defs": {"N": node}}

    assert compare(tree(TEXT), tree(TEXT)) == []
    assert [str(each) for each in compare(tree(TEXT), tree(NULL))] == ["f: was string, is null"]


# Catalogues --------------------------------------------------------------------------------------


def kind(name="a.b", *schemas, **more):
    versions = {str(n): body_schema(name, each) for n, each in enumerate(schemas, 1)}
    return Declared(name, schemas=versions, **more)


def said(old, new):
    return [(each.breaking, str(each)) for each in changes(old, new, TODAY)]


def test_event_types_come_and_go():
    """A new one is safe; one that is gone breaks, and comes first."""
    assert said([kind("a.b")], [kind("c.d")]) == [
        (True, "a.b: was removed"),
        (False, "c.d: is new"),
    ]


@pytest.mark.parametrize(
    ("sunset", "breaking", "words"),
    [
        ("2030-06-01", False, "was removed, as announced for 2030-06-01"),
        ("2030-06-02", True, "was removed before 2030-06-02, the day announced"),
        (None, True, "was removed"),
    ],
)
def test_what_was_announced_may_go(sunset, breaking, words):
    """From its day on, and not before."""
    schema = body_schema("a.b", TEXT, deprecated=Deprecation(sunset=sunset))
    gone = Declared("a.b", schemas={"1": schema}, deprecated=True)
    assert said([gone], []) == [(breaking, f"a.b: {words}")]
    stays = replace(gone, schemas={"1": schema, "2": schema})
    less = replace(gone, schemas={"2": schema})
    assert said([stays], [less]) == [(breaking, f"a.b 1: {words}")]


def test_versions():
    """A version that changes breaks; a new one does not, and says what it would."""
    one, two = field(TEXT), field(NULL)
    assert said([kind("a.b", one)], [kind("a.b", two)]) == [
        (True, "a.b 1: data.f: was string, is null")
    ]
    [(breaking, words)] = said([kind("a.b", one)], [kind("a.b", one, two)])
    assert not breaking
    broken = "which those written for 1 do not understand: data.f: was string, is null"
    assert words == f"a.b 2: is a new version, {broken}"


def test_deprecating_is_said():
    """It breaks nothing."""
    ends = body_schema("a.b", TEXT, deprecated=Deprecation(successor="c.d"))
    [change] = said([kind("a.b", TEXT)], [Declared("a.b", schemas={"1": ends})])
    assert change == (False, "a.b 1: deprecated; use c.d instead")


def test_a_file_of_it():
    """What is written is read, and is no change."""
    before = [kind("b.c", TEXT, description="Told.", group_name="g"), event("a.b")]
    found = document([before[0], Declared("a.b", schemas={"1": before[1].schema})])
    assert [*found["event_types"]] == ["a.b", "b.c"]
    assert document(read(found, "x.json")) == found


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "x.json: expected a catalogue, as hookline event-types export"),
        ({"hookline": 1}, "x.json: expected a catalogue"),
        ({"hookline": 2, "event_types": {}}, "x.json: is of format 2, expected 1"),
        ({"hookline": 1, "event_types": []}, "x.json: event_types: expected an object"),
        ({"hookline": 1, "event_types": {"a": 1}}, "x.json: a: expected an object, got int"),
        (
            {"hookline": 1, "event_types": {"a": {"schemas": {"1": 2}}}},
            "x.json: a: schemas: expected an object of schemas by version",
        ),
    ],
)
def test_files_of_something_else(found, words):
    """Each says what was expected."""
    with pytest.raises(InvalidInput) as caught:
        read(found, "x.json")
    assert str(caught.value).startswith(words)


def test_a_day_that_is_none():
    """A file may have been written by hand."""
    schema = {**body_schema("a.b", TEXT), "deprecated": True, "x-sunset": "soon"}
    with pytest.raises(InvalidInput, match="expected a day such as 2027-01-31, got 'soon'"):
        changes([Declared("a.b", schemas={"1": schema})], [], TODAY)
