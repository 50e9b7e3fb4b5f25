"""The API's own description: OpenAPI 3.1, with what it sends itself among it (`webhooks`)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

import hookline
from hookline._domain.catalogue import openapi
from hookline._domain.catalogue.described import Described
from hookline._web.api.examples import PARAMETERS, example_of
from hookline._web.api.models.wire import HTTPValidationError
from hookline._web.api.routes import errors_of
from hookline._web.errors import VALUE_ERROR

SUMMARY = "Outbound webhooks: stored, signed, delivered for certain."
TEXT = """\
The official Svix clients work with this API unchanged.

**Authentication**: `Authorization: Bearer hk_…`, a key made with `hookline keys create`.

**Errors** are objects: `{"code": …, "detail": …}`; what is wrong with a request (422) is a list of
`{"loc": […], "msg": …, "type": …}`.

**Lists** come in pages: `limit` items (50 unless told, 250 at most), and `iterator` to go on with.

**Repeats**: a `POST` with an `Idempotency-Key` that is sent again within 24 hours is done once, and
answered as it was the first time. With another body the key is refused: 409.

**Webhooks**: what is sent to endpoints is described below `webhooks`, one for each event type; as
AsyncAPI 3.0 it is at `/api/v1/asyncapi.json`.
"""
SCHEME = "HTTPBearer"
INVALID = {
    "description": "What is wrong with the request",
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/HTTPValidationError"},
            "example": {
                "detail": [
                    {"loc": ["body", "url"], "msg": "blocked_destination", "type": VALUE_ERROR}
                ]
            },
        }
    },
}


_SCHEMAS = "#/components/schemas/"
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Sent again with the same key within 24 hours, the request is done once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[ -~]+$"},
}


def describe(routes: Sequence[APIRoute], server_url: str) -> dict[str, Any]:
    """Return the description of the routes."""
    document = get_openapi(
        title="Hookline API",
        version=hookline.__version__,
        summary=SUMMARY,
        description=TEXT,
        routes=routes,
        servers=[{"url": server_url or "/"}],
    )
    # FastAPI has a model of the same name, which is not what we answer.
    own = HTTPValidationError.model_json_schema(ref_template=_SCHEMAS + "{model}")
    document["components"]["schemas"] |= {**own.pop("$defs"), own["title"]: own}
    document["components"]["securitySchemes"] = {
        SCHEME: {"type": "http", "scheme": "bearer", "description": "An API key, `hk_…`."}
    }
    document["security"] = [{SCHEME: []}]
    for item in document["paths"].values():
        for method, operation in item.items():
            _complete(method, operation)
    return document


def _complete(method: str, operation: dict[str, Any]) -> None:
    """Add what any operation of its kind may take and answer, and examples of all of it."""
    body = operation.get("requestBody", {})
    if operation.get("security") != []:
        _with_key(method, operation, body=bool(body))
    for answer in operation["responses"].values():
        if answer["description"] == "Successful Response":
            answer["description"] = "Done"
    for described in (body, *operation["responses"].values()):
        for content in described.get("content", {}).values():
            _exemplify(content)


def _with_key(method: str, operation: dict[str, Any], *, body: bool) -> None:
    """Complete an operation that is asked with a key."""
    parameters, answers = operation.setdefault("parameters", []), operation["responses"]
    if method == "post":
        parameters.append(_KEY)
    for status, answer in errors_of(*_statuses(method, parameters)).items():
        answers[str(status)] = _answer(answer)
    if body or any(parameter["in"] != "header" for parameter in parameters):
        answers["422"] = INVALID
    for parameter in parameters:
        if parameter["in"] == "path" and parameter["name"] in PARAMETERS:
            parameter["example"] = PARAMETERS[parameter["name"]]


def _statuses(method: str, parameters: Sequence[Any]) -> Iterable[int]:
    yield 503
    if method == "post" or any(parameter["in"] == "query" for parameter in parameters):
        yield 400
    if method == "post":
        yield 409
    if method in ("post", "put", "patch"):
        yield from (408, 413)


def _answer(answer: dict[str, Any]) -> dict[str, Any]:
    reference = {"$ref": _SCHEMAS + answer["model"].__name__}
    content = {**answer["content"]["application/json"], "schema": reference}
    return {
        "description": answer["description"],
        "content": {"application/json": content},
    }


def _exemplify(content: dict[str, Any]) -> None:
    schema = content.get("schema", {})
    named = [schema, *schema.get("anyOf", ())]  # a body that may be left out
    for each in named:
        found = example_of(each.get("$ref", "").removeprefix(_SCHEMAS))
        if found is not None and "example" not in content:
            content["example"] = found


# what is sent -------------------------------------------------------------------------------------


def with_webhooks(document: Mapping[str, Any], event_types: Sequence[Described]) -> dict[str, Any]:
    """Return the description with what is sent as its `webhooks`."""
    components = dict(document["components"])
    for kind, found in openapi.components(event_types).items():
        components[kind] = {**components.get(kind, {}), **found}
    return {**document, "webhooks": openapi.webhooks(event_types), "components": components}
