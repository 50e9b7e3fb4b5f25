"""References in JSON schemas: followed, and moved when a schema becomes part of a document."""

from collections.abc import Mapping
from typing import Any

MAX_HOPS = 32


def followed(schema: Any, root: Any) -> Any:
    """Return what a schema's local references lead to, itself without one; None for nowhere.

    What stands beside the reference counts too, and before what it leads to.
    """
    found, beside = target(schema, root)
    if not beside:
        return found
    return {**found, **beside} if isinstance(found, Mapping) else None


def target(schema: Any, root: Any) -> tuple[Any, dict[str, Any]]:
    """Return what a schema's references lead to, and the keywords that stand beside them."""
    beside: dict[str, Any] = {}
    for _ in range(MAX_HOPS):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            return schema, beside
        own = {key: value for key, value in schema.items() if key not in ("$ref", "$defs")}
        beside = {**own, **beside}
        schema = _at(root, schema["$ref"])
    return None, {}


def _at(root: Any, reference: Any) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found = root
    for part in filter(None, reference[1:].split("/")):
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def moved(schema: Any, to: str) -> Any:
    """Return a schema whose references into itself lead below `to`, such as `#/components/x`.

    One that has an `$id` stays as it is: its references are relative to that.
    """
    return schema if isinstance(schema, Mapping) and "$id" in schema else _moved(schema, to)


_LITERAL = frozenset({"const", "enum", "default", "example", "examples"})
"""Keywords that hold values, in which a `$ref` is a member like any other."""


def _moved(part: Any, to: str) -> Any:
    if isinstance(part, Mapping):
        return {
            key: to + value[1:]
            if key == "$ref" and isinstance(value, str) and value.startswith("#")
            else value
            if key in _LITERAL
            else _named(value, to)
            if key in ("properties", "$defs", "patternProperties")
            else _moved(value, to)
            for key, value in part.items()
        }
    return [_moved(each, to) for each in part] if isinstance(part, list) else part


def _named(part: Any, to: str) -> Any:
    """Move schemas by name: a property may be called `default`, or `$ref`."""
    if not isinstance(part, Mapping):
        return part
    return {name: _moved(schema, to) for name, schema in part.items()}
