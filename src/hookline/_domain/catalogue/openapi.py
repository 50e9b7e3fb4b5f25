"""What is sent, as the `webhooks` of an OpenAPI 3.1 document."""

from collections.abc import Iterable
from typing import Any

from hookline._domain.catalogue.described import Described, deprecation_of
from hookline._domain.catalogue.pointers import moved
from hookline._domain.event_type import newest

VERSION = "3.1.0"
SCHEMAS = "#/components/schemas/"
PARAMETERS = "#/components/parameters/"
ID, SECONDS, STANDARD = "webhook-id", "webhook-timestamp", "webhook-signature"
HEADERS = {
    ID: "The message's id, the same in every attempt: what is seen twice is dropped.",
    SECONDS: "Unix seconds of this attempt.",
    STANDARD: "Standard Webhooks signatures, separated by spaces: `v1,` and the base64 of the "
    "HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`.",
    "X-Webhook-Signature": "`sha256=` and the HMAC-SHA256 of the body, in hex.",
    "X-Webhook-Event": "The event type.",
    "X-Webhook-Attempt": "1 for the first attempt.",
}
"""The headers of a request, as they are unless an endpoint asks for other signatures."""
SIGNED = frozenset({STANDARD, "X-Webhook-Signature"})
"""Those that only an endpoint with a secret gets."""
RECEIVED = "Received. Anything else is a failure, and sent again."


def document(event_types: Iterable[Described], title: str, version: str) -> dict[str, Any]:
    """Return a whole document of nothing but webhooks."""
    found = list(event_types)
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": version},
        "webhooks": webhooks(found),
        "components": components(found),
    }


def webhooks(event_types: Iterable[Described]) -> dict[str, Any]:
    """Return the `webhooks` section. It refers to `components`, which belong beside it."""
    return {
        each.name: {"post": _operation(each)}
        for each in sorted(event_types, key=lambda each: each.name)
    }


def components(event_types: Iterable[Described]) -> dict[str, Any]:
    """Return what the `webhooks` section refers to: a schema per event type, and the headers."""
    schemas = {}
    for each in sorted(event_types, key=lambda each: each.name):
        schema = newest(each.schemas or {})
        if isinstance(schema, dict):
            schemas[each.name] = moved(schema, SCHEMAS + each.name)
    parameters = {name: _parameter(name, text) for name, text in HEADERS.items()}
    return {"schemas": schemas, "parameters": parameters}


def _parameter(name: str, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": name not in SIGNED,
        "description": text,
        "schema": {"type": "string"},
    }


def _operation(found: Described) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    if isinstance(newest(found.schemas or {}), dict):
        schema = {"$ref": SCHEMAS + found.name}
    text = found.description or f"Sent to endpoints that want {found.name}."
    ends = deprecation_of(found)
    if ends is not None and str(ends) != "deprecated":
        text += f"\n\n{ends.sentence}"
    return {
        "operationId": f"webhook.{found.name}",
        "summary": found.name,
        "description": text,
        "tags": [found.group_name or "Webhooks"],
        "security": [],
        **({"deprecated": True} if ends is not None else {}),
        "parameters": [{"$ref": PARAMETERS + name} for name in HEADERS],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"2XX": {"description": RECEIVED}},
    }
