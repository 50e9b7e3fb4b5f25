"""Examples of payloads, out of JSON schemas."""

from collections.abc import Mapping, Sequence
from typing import Any

MAX_DEPTH = 12
MAX_PARTS = 5000
"""Parts of a schema that are looked at: one that refers to itself many times has no end."""
_BY_FORMAT = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
}


def example(schema: object, index: int = 0) -> Any:
    """Return an example of what a JSON schema describes; None for one that describes nothing.

    The schema's own examples come first, the one at `index` or the last; then defaults, constants
    and enumerations; what is left is made up by type. References lead into the schema itself.
    """
    return _Examples(schema if isinstance(schema, Mapping) else {}).of(schema, index, 0)


class _Examples:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = MAX_PARTS

    def of(self, schema: object, index: int, depth: int) -> Any:
        self._left -= 1
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH or self._left < 0:
            return None
        given = schema.get("examples")
        if isinstance(given, Sequence) and not isinstance(given, str) and given:
            return given[min(index, len(given) - 1)]
        for name in ("example", "default", "const"):
            if name in schema:
                return schema[name]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][0]
        if isinstance(schema.get("$ref"), str):
            return self.of(self._referred(schema["$ref"]), index, depth + 1)
        return self._made(schema, index, depth)

    def _referred(self, reference: str) -> object:
        if not reference.startswith("#"):
            return None
        found: object = self._root
        for part in filter(None, reference[1:].split("/")):
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def _made(self, schema: Mapping[str, Any], index: int, depth: int) -> Any:
        parts = schema.get("allOf")
        if isinstance(parts, list):
            merged: dict[str, Any] = {}
            for part in parts:
                found = self.of(part, index, depth + 1)
                merged |= found if isinstance(found, dict) else {}
            own = self._object(schema, index, depth) if "properties" in schema else {}
            return {**merged, **own}
        for name in ("oneOf", "anyOf"):
            if isinstance(schema.get(name), list) and schema[name]:
                return self.of(schema[name][0], index, depth + 1)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((each for each in kind if each != "null"), "null")
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema, index, depth)
        if kind == "array":
            item = self.of(schema.get("items"), index, depth + 1)
            return [] if item is None else [item]
        return self._plain(kind, schema)

    def _object(self, schema: Mapping[str, Any], index: int, depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        if not isinstance(properties, Mapping):
            return {}
        return {name: self.of(part, index, depth + 1) for name, part in properties.items()}

    @staticmethod
    def _plain(kind: object, schema: Mapping[str, Any]) -> Any:
        if kind == "string":
            return _BY_FORMAT.get(str(schema.get("format")), "text")
        if kind in ("integer", "number"):
            least = schema.get("minimum", schema.get("exclusiveMinimum"))
            return least if isinstance(least, int | float) else 1
        return kind == "boolean" or None
