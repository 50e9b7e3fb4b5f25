"""Which change of a schema breaks receivers: what holds for any schema."""

import copy

import hypothesis.strategies as st
from hypothesis import assume, given
from jsonschema import Draft202012Validator

from hookline._domain.catalogue.compare import compare
from hookline._domain.catalogue.rows import rows

NAMES = st.sampled_from(["a", "b", "c", "d"])
TEXT = st.fixed_dictionaries(
    {"type": st.just("string")},
    optional={
        "maxLength": st.integers(2, 5),
        "minLength": st.integers(0, 2),
        "description": st.just("words"),
    },
)
LISTED = st.lists(st.sampled_from(["x", "y", "z", 1, 2, None, True]), min_size=1, unique_by=repr)
NUMBER = st.fixed_dictionaries(
    {"type": st.sampled_from(["integer", "number"])},
    optional={"minimum": st.integers(-2, 1), "maximum": st.integers(1, 4)},
)
LEAF = st.one_of(
    TEXT,
    NUMBER,
    LISTED.map(lambda values: {"enum": values}),
    st.sampled_from(["x", "y", 1]).map(lambda value: {"const": value}),
    st.sampled_from([{}, {"type": "null"}, {"type": "boolean"}, {"type": ["string", "null"]}]),
)


def objects(parts):
    def whole(properties):
        required = st.lists(st.sampled_from(sorted(properties)), unique=True)
        return required.map(
            lambda names: {"type": "object", "properties": properties, "required": names}
        )

    return st.dictionaries(NAMES, parts, min_size=1, max_size=3).flatmap(whole)


SCHEMAS = st.recursive(
    LEAF,
    lambda parts: st.one_of(
        objects(parts),
        parts.map(lambda items: {"type": "array", "items": items}),
        st.lists(parts, min_size=1, max_size=3).map(lambda some: {"anyOf": some}),
    ),
    max_leaves=6,
)
OBJECTS = objects(SCHEMAS)
VALUES = st.recursive(
    st.sampled_from(["x", "y", "z", "", "wwwwww", 1, 2, 3, -1, 1.5, None, True, False]),
    lambda parts: st.one_of(st.lists(parts, max_size=2), st.dictionaries(NAMES, parts, max_size=3)),
    max_leaves=5,
)


def breaking(old, new):
    return [each for each in compare(old, new) if each.breaking]


def of(schema):
    """Values that a schema allows, mostly."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([of(each) for each in schema["anyOf"]])
    if schema.get("type") == "array":
        return st.lists(of(schema["items"]), max_size=2)
    if schema.get("type") == "object":
        needed = {name: of(schema["properties"][name]) for name in schema["required"]}
        rest = {n: of(s) for n, s in schema["properties"].items() if n not in needed}
        return st.fixed_dictionaries(needed, optional=rest)
    return VALUES


@given(SCHEMAS)
def test_nothing_changed(schema):
    """From a schema to itself there is no change, whoever copied it."""
    assert compare(schema, copy.deepcopy(schema)) == []


@given(OBJECTS, SCHEMAS, st.booleans())
def test_an_added_field_is_safe(schema, field, always):
    """Optional or always there: receivers do not look at what they do not know."""
    more = copy.deepcopy(schema)
    more["properties"]["new"] = field
    more["required"] = [*more["required"], *(["new"] if always else [])]
    [change] = compare(schema, more)
    assert (change.path, change.breaking, change.what) == ("new", False, "was added")


@given(OBJECTS, st.data())
def test_a_removed_field_breaks(schema, data):
    """Whatever it was."""
    less = copy.deepcopy(schema)
    name = data.draw(st.sampled_from(sorted(schema["properties"])))
    del less["properties"][name]
    less["required"] = [each for each in less["required"] if each != name]
    assert [(each.path, each.what) for each in breaking(schema, less)] == [(name, "was removed")]


@given(OBJECTS, st.data())
def test_a_field_that_may_be_missing_breaks(schema, data):
    """Where it was always there; the other way round is safe."""
    assume(schema["required"])
    name = data.draw(st.sampled_from(schema["required"]))
    other = {**schema, "required": [each for each in schema["required"] if each != name]}
    assert [each.path for each in breaking(schema, other)] == [name]
    assert breaking(other, schema) == []


@given(SCHEMAS)
def test_null_comes_and_goes(schema):
    """A value that may be null now breaks, one that may not any more is safe."""
    assume(not Draft202012Validator(schema).is_valid(None))
    nullable = {"anyOf": [schema, {"type": "null"}]}
    assert breaking(schema, nullable)
    assert breaking(nullable, schema) == []


@st.composite
def edited(draw, schema):
    """A schema with one place of it changed, deep inside perhaps."""
    schema = copy.deepcopy(schema)
    inside = [each for each in (*schema.get("anyOf", ()), schema.get("items")) if each]
    inside += schema.get("properties", {}).values()
    if not inside or draw(st.integers(0, 2)) == 0:
        word = draw(st.sampled_from(["minimum", "maximum", "minLength", "maxLength", "required"]))
        if word != "required":
            return {**schema, word: draw(st.integers(0, 5))}
        known = sorted(schema.get("properties", {}))
        return {**schema, "required": known} if known else draw(SCHEMAS)
    chosen = draw(st.sampled_from(inside))
    other = draw(edited(chosen))
    chosen.clear()
    chosen.update(other)
    return schema


@given(SCHEMAS, st.data())
def test_what_is_called_safe_is_safe(old, data):
    """What the new schema allows the old one allowed, where no breaking change was found."""
    new = data.draw(st.one_of(edited(old), SCHEMAS))
    value = data.draw(st.one_of(of(new), VALUES))
    if not breaking(old, new) and Draft202012Validator(new).is_valid(value):
        assert Draft202012Validator(old).is_valid(value)


@given(st.recursive(VALUES, lambda parts: st.dictionaries(st.text(max_size=9), parts)))
def test_anything_may_come(found):
    """Schemas out of a database or a file may be anything: they are compared, and shown."""
    assert compare(found, copy.deepcopy(found)) == []
    compare(found, {"type": "object"})
    compare({"type": "object", "properties": found}, found)
    assert isinstance(rows(found), list)
