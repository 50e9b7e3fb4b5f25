"""Ours and Svix's published specification, field by field.

`tests/vectors/svix-api.json` has the facts of theirs (`tools/svix_facts.py` makes it). Whatever a
client written for it sends, ours takes; whatever ours answers, such a client can read.
"""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import validate

from hookline import Webhooks
from hookline._web.api import examples
from hookline._web.api.app import build

THEIRS = json.loads((Path(__file__).parents[1] / "vectors" / "svix-api.json").read_text())
OPERATIONS = THEIRS["operations"]
OTHER_STATUS = {
    # Their newest clients parse an answer here, which their server does not give.
    "POST /api/v1/app/{app_id}/endpoint/{endpoint_id}/secret/rotate": {"200": "EndpointSecretOut"},
    # Not in their document at all.
    "DELETE /api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/content": {"204": None},
    "DELETE /api/v1/app/{app_id}/msg/{msg_id}/content": {"204": None},
}
"""What a success answers where it differs from theirs."""
NARROWER = {
    # Their server takes 1 to 250 as well, whatever it says; a rate of 0 is none.
    ("limit", "minimum"): 1,
    ("limit", "maximum"): 250,
    ("name", "maxLength"): 256,
    ("name", "minLength"): 1,
    ("description", "maxLength"): 1024,
    ("url", "maxLength"): 65_536,
    ("url", "minLength"): 1,
    ("channels", "maxItems"): 10,
}
"""Where theirs names no bound, and ours does: the field, which bound, and the least it must be."""
WIDER = {"^[a-zA-Z0-9\\-_.]+$", "^(whsec_)?[a-zA-Z0-9+/=]{32,100}$"}
"""Patterns of theirs; ours may be another that takes the same and more, as tried below."""
FORMATS = {"uint16": 2**16 - 1, "uint32": 2**32 - 1}


@pytest.fixture(scope="module")
def ours():
    """Our description, as anybody gets it."""
    return build(Webhooks(database="sqlite:///unused.db", deliver=False)).openapi()


def operation(ours, name):
    """Return our operation of a name such as `GET /api/v1/app`."""
    method, path = name.split(" ")
    return ours["paths"][path][method.lower()]


def variants(schema, document):
    """Return what a value may be: the schemas without `$ref` and `anyOf` that it is any of."""
    if "$ref" in schema:
        found = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return variants(found, document)
    for name in ("anyOf", "oneOf"):
        if name in schema:
            beside = {key: value for key, value in schema.items() if key != name}
            parts = [each for part in schema[name] for each in variants(part, document)]
            return [{**beside, **each} for each in parts]
    if isinstance(schema.get("type"), list):
        null = {"type": "null"}
        return [null if each == "null" else {**schema, "type": each} for each in schema["type"]]
    return [schema]


def of_type(schemas, kind):
    """Return the variants that take a JSON type; a number takes integers."""
    wanted = {kind, "number"} if kind == "integer" else {kind}
    return [each for each in schemas if each.get("type", kind) in wanted]


def narrower(name, ours, theirs):
    """Yield what theirs allows and ours does not."""
    for bound, worse in (
        ("minimum", lambda a, b: a > b),
        ("minLength", lambda a, b: a > b),
        ("minItems", lambda a, b: a > b),
        ("maximum", lambda a, b: a < b),
        ("maxLength", lambda a, b: a < b),
        ("maxItems", lambda a, b: a < b),
    ):
        if bound not in ours:
            continue
        least = 0 if bound.startswith("min") else float("inf")
        allowed = theirs.get(bound, least)
        if bound == "maximum" and bound not in theirs:
            allowed = FORMATS.get(theirs.get("format"), least)
        if bound in ("minimum", "maximum") and "enum" in theirs:
            allowed = (min if bound == "minimum" else max)(theirs["enum"])
        if bound not in theirs or name == "limit":
            allowed = NARROWER.get((name, bound), allowed)
        if worse(ours[bound], allowed):
            yield f"{bound} {ours[bound]}, theirs {allowed}"
    if ours.get("uniqueItems") and not theirs.get("uniqueItems"):
        yield "unique items"
    if not {*theirs.get("enum", ())} <= {*ours.get("enum", theirs.get("enum", ()))}:
        yield f"only {ours['enum']}"
    if ours.get("pattern") not in (None, theirs.get("pattern")) and (
        theirs.get("pattern") not in WIDER
    ):
        yield f"pattern {ours['pattern']}"


def refused(name, ours_schema, theirs_schema, ours, where=""):
    """Yield what theirs may send in a field, and ours does not take."""
    for wanted in variants(theirs_schema, THEIRS):
        fitting = of_type(variants(ours_schema, ours), wanted["type"])
        if not fitting:
            yield f"{where}{name}: no {wanted['type']}"
            continue
        found = [list(narrower(name, each, wanted)) for each in fitting]
        yield from (f"{where}{name}: {what}" for what in min(found, key=len))
        best = fitting[found.index(min(found, key=len))]
        if "items" in wanted:
            yield from refused(name, best["items"], wanted["items"], ours, f"{where}{name}[].")
        extra = wanted.get("additionalProperties")
        if extra and isinstance(best.get("additionalProperties"), dict):
            yield from refused("*", best["additionalProperties"], extra, ours, f"{where}{name}.")
        yield from refused_fields(best, wanted, ours, f"{where}{name}.")


def refused_fields(own, wanted, ours, where=""):
    """Yield what theirs may send in an object, and ours does not take."""
    properties = own.get("properties", {})
    if wanted.get("properties"):
        for field in {*own.get("required", ())} - {*wanted.get("required", ())}:
            yield f"{where}{field}: required"
    for field, schema in wanted.get("properties", {}).items():
        if field not in properties:
            yield f"{where}{field}: unknown"
        else:
            yield from refused(field, properties[field], schema, ours, where)


def unreadable(own_schema, wanted_schema, ours, where=""):
    """Yield what ours may answer in a place, and theirs does not read."""
    wanted = variants(wanted_schema, THEIRS)
    for own in variants(own_schema, ours):
        kind = own.get("type")
        fitting = [each for each in wanted if each.get("type", kind) == kind]
        if not fitting:
            yield f"{where}: {kind or own}, theirs {[each.get('type') for each in wanted]}"
            continue
        best = fitting[0]
        if best.get("format") == "date-time" and own.get("format") != "date-time":
            yield f"{where}: not a time"
        if "items" in best:
            yield from unreadable(own.get("items", {}), best["items"], ours, f"{where}[]")
        for field in {*best.get("required", ())} - {*own.get("required", ())}:
            yield f"{where}.{field}: may be missing"
        for field, schema in best.get("properties", {}).items():
            if field not in own.get("properties", {}):
                yield f"{where}.{field}: unknown"
                continue
            mine = own["properties"][field]
            if field in best.get("required", ()):
                if any(each.get("type") == "null" for each in variants(mine, ours)):
                    yield f"{where}.{field}: may be null"
            else:  # null in ours is left out of the answer
                mine = {"anyOf": [e for e in variants(mine, ours) if e.get("type") != "null"]}
            yield from unreadable(mine, schema, ours, f"{where}.{field}")


def body_of(operation):
    """Return the schema of a request's body."""
    return operation["requestBody"]["content"]["application/json"]["schema"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_is_there(ours, name):
    """Under its method, path and id, with its success."""
    own = operation(ours, name)
    theirs = OPERATIONS[name]
    if theirs["id"] and theirs["id"].startswith("v1."):
        assert own["operationId"] == theirs["id"]
    answers = OTHER_STATUS.get(name) or theirs["answers"]
    assert {s for s in answers if s[0] == "2"} == {s for s in own["responses"] if s[0] == "2"}


@pytest.mark.parametrize("name", [name for name in OPERATIONS if OPERATIONS[name].get("query")])
def test_each_query_parameter_is_taken(ours, name):
    """With all the values that theirs may have, absence among them."""
    own = {p["name"]: p for p in operation(ours, name)["parameters"] if p["in"] == "query"}
    for parameter, schema in OPERATIONS[name]["query"].items():
        assert parameter in own
        assert not own[parameter]["required"]
        text = {**schema} if "anyOf" in schema else {**schema, "type": _not_null(schema)}
        assert list(refused(parameter, own[parameter]["schema"], text, ours)) == []


def _not_null(schema):
    kind = schema["type"]  # there is no null in a query: a parameter is left out
    return next(each for each in kind if each != "null") if isinstance(kind, list) else kind


@pytest.mark.parametrize("name", [name for name in OPERATIONS if OPERATIONS[name].get("body")])
def test_each_field_of_a_request_is_taken(ours, name):
    """With all the values that theirs may have, null and absence among them."""
    theirs = {"$ref": f"#/models/{OPERATIONS[name]['body']}"}
    own = body_of(operation(ours, name))
    [wanted] = variants(theirs, THEIRS)
    mine = next(each for each in variants(own, ours) if each.get("type") == "object")
    assert list(refused_fields(mine, wanted, ours)) == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_field_of_an_answer_can_be_read(ours, name):
    """All of theirs are there, of their types, and null only where theirs may be. Errors too."""
    responses = operation(ours, name)["responses"]
    answers = OPERATIONS[name]["answers"] | OTHER_STATUS.get(name, {})
    problems = []
    for status, answer in responses.items():
        if "content" not in answer:
            assert answers.get(status) is None
            continue
        error = "HTTPValidationError" if status == "422" else "HttpErrorOut"
        model = answers.get(status) or error
        own = answer["content"]["application/json"]["schema"]
        problems += unreadable(own, {"$ref": f"#/models/{model}"}, ours, f"{status}")
    assert problems == []


@pytest.mark.parametrize("pattern", sorted(WIDER))
def test_our_patterns_take_what_theirs_do(ours, pattern):
    """Tried with texts made of theirs, of the lengths that they allow."""
    models = ours["components"]["schemas"]
    secret = "whsec" in pattern
    found = [models["EndpointIn"]["properties"]["secret" if secret else "eventTypes"]]
    [own] = [each for each in variants(found[0], ours) if each["type"] != "null"]
    mine = own["pattern"] if secret else own["items"]["pattern"]
    assert mine != pattern  # else there is nothing to try

    @given(st.from_regex(pattern, fullmatch=True))
    def check(text):
        if not text.endswith("\n"):  # `$` means the end in their language
            assert re.search(mine, text)

    check()


# Our own document --------------------------------------------------------------------------------


def test_our_document_is_valid(ours):
    """OpenAPI 3.1, as its own schema has it."""
    assert ours["openapi"].startswith("3.1")
    validate(ours)


def test_each_operation_is_described(ours):
    """A sentence, an example of what it takes and answers, and its errors."""
    for path, item in ours["paths"].items():
        for method, own in item.items():
            where = f"{method} {path}"
            assert own["description"].endswith("."), where
            if own.get("security") != []:
                assert {"401", "503"} <= {*own["responses"]}, where
            contents = [answer.get("content", {}) for answer in own["responses"].values()]
            contents.append(own.get("requestBody", {}).get("content", {}))
            for content in filter(None, contents):
                [media] = content.values()
                assert "example" in media or "examples" in media, where
                if "schema" not in media or "example" not in media:
                    continue
                checker = jsonschema.Draft202012Validator(
                    {**media["schema"], "components": ours["components"]},
                    format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
                )
                assert [each.message for each in checker.iter_errors(media["example"])] == [], where
            for parameter in own.get("parameters", ()):
                assert parameter["in"] != "path" or "example" in parameter, where


def test_no_example_is_left_over(ours):
    """Each belongs to a model that is there."""
    assert {*examples.OF_MODELS} <= {*ours["components"]["schemas"]}
