"""The API's own description: OpenAPI 3.1."""

from collections.abc import Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

import hookline
from hookline._web.api.models import HTTPValidationError
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
    _say_what_is_wrong(document)
    document["components"]["securitySchemes"] = {
        SCHEME: {"type": "http", "scheme": "bearer", "description": "An API key, `hk_…`."}
    }
    document["security"] = [{SCHEME: []}]
    return document


def _say_what_is_wrong(document: dict[str, Any]) -> None:
    """Describe 422 as it is answered here: FastAPI describes its own."""
    schemas = document["components"]["schemas"]
    made = HTTPValidationError.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= {"HTTPValidationError": made, **made.pop("$defs")}
    for item in document["paths"].values():
        for operation in item.values():
            if "422" in operation["responses"]:
                operation["responses"]["422"] = INVALID
