"""What is sent, as an AsyncAPI 3.0 document: the application sends, receivers are its channels."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hookline._domain.catalogue.described import Described, deprecation_of
from hookline._domain.catalogue.openapi import HEADERS, SIGNED
from hookline._domain.catalogue.pointers import moved
from hookline._domain.event_type import newest_version

VERSION = "3.0.0"
SCHEMAS, MESSAGES, CHANNELS = "#/components/schemas/", "#/components/messages/", "#/channels/"
HEADERS_SCHEMA = "WebhookHeaders"


def document(event_types: Iterable[Described], title: str, version: str) -> dict[str, Any]:
    """Return the document: a channel and an operation per event type, a message per version."""
    found = sorted(event_types, key=lambda each: each.name)
    messages = {key: body for each in found for key, body in _messages(each)}
    return {
        "asyncapi": VERSION,
        "info": {"title": title, "version": version},
        "defaultContentType": "application/json",
        "channels": {each.name: _channel(each) for each in found},
        "operations": {f"send.{each.name}": _operation(each) for each in found},
        "components": {
            "messages": messages,
            "schemas": {**dict(_schemas(found)), HEADERS_SCHEMA: _headers()},
        },
    }


def _versions(found: Described) -> Iterator[tuple[str, Any]]:
    """Yield a key and a schema per version; the newest one is known by the name alone."""
    schemas: Mapping[str, Any] = found.schemas or {}
    last = newest_version(schemas)
    if last is None:
        yield found.name, None
    for version, schema in schemas.items():
        yield found.name if version == last else f"{found.name}.v{version}", schema


def _messages(found: Described) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, schema in _versions(found):
        payload = {"$ref": SCHEMAS + key} if isinstance(schema, dict) else {"type": "object"}
        examples = schema.get("examples") if isinstance(schema, dict) else None
        shown = [{"payload": e} for e in examples or () if isinstance(e, dict)]
        yield (
            key,
            {
                "name": key,
                "title": found.name,
                "contentType": "application/json",
                "headers": {"$ref": SCHEMAS + HEADERS_SCHEMA},
                "payload": payload,
                **({"examples": shown} if shown else {}),
            },
        )


def _schemas(found: Iterable[Described]) -> Iterator[tuple[str, Any]]:
    for each in found:
        for key, schema in _versions(each):
            if isinstance(schema, dict):
                yield key, moved(schema, SCHEMAS + key)


def _channel(found: Described) -> dict[str, Any]:
    ends = deprecation_of(found)
    text = found.description + (f"\n\n{ends.sentence}" if ends is not None else "")
    return {
        # AsyncAPI has no address for what each receiver chooses for itself.
        "address": None,
        "title": found.name,
        **({"description": text.strip()} if text.strip() else {}),
        **({"tags": [{"name": found.group_name}]} if found.group_name else {}),
        "messages": {key: {"$ref": MESSAGES + key} for key, _ in _versions(found)},
    }


def _operation(found: Described) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": CHANNELS + found.name},
        "summary": f"Sent to endpoints that want {found.name}.",
        "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
        "messages": [
            {"$ref": f"{CHANNELS}{found.name}/messages/{key}"} for key, _ in _versions(found)
        ],
    }


def _headers() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            name: {"type": "string", "description": text} for name, text in HEADERS.items()
        },
        "required": [name for name in HEADERS if name not in SIGNED],
    }
