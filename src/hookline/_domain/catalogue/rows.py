"""The fields of a schema as the rows of a table."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hookline._domain.catalogue.pointers import followed

MAX_ROWS, MAX_DEPTH = 200, 8


class Row(NamedTuple):
    """A field: where it is (`data.items[].price`), what it may be, whether it is always there."""

    path: str
    kind: str
    always: bool
    description: str
    deprecated: bool


def rows(schema: Any) -> list[Row]:
    """Return the fields of a body's schema, 200 at most, 8 levels deep."""
    found: list[Row] = []
    for row in _below(schema, schema, "", ()):
        found.append(row)
        if len(found) == MAX_ROWS:
            break
    return found


def _below(schema: Any, root: Any, path: str, above: tuple[int, ...]) -> Iterator[Row]:
    for each in _alternatives(schema, root):
        if len(above) > MAX_DEPTH or id(each.get("properties", each)) in above:
            continue  # it contains itself: once is enough
        inside = (*above, id(each.get("properties", each)))
        properties, required = each.get("properties"), each.get("required")
        for name, part in properties.items() if isinstance(properties, Mapping) else ():
            here = f"{path}.{name}" if path else str(name)
            own = followed(part, root)
            yield _row(here, own, root, always=isinstance(required, list) and name in required)
            yield from _below(own, root, here, inside)
        if "items" in each:
            yield from _below(each["items"], root, f"{path}[]", inside)
        values = each.get("additionalProperties")
        if isinstance(values, Mapping):
            yield from _below(values, root, f"{path}.*", inside)


def _row(path: str, schema: Any, root: Any, *, always: bool) -> Row:
    known = schema if isinstance(schema, Mapping) else {}
    text = known.get("description")
    return Row(
        path,
        kind(schema, root),
        always,
        " ".join(text.split()) if isinstance(text, str) else "",
        known.get("deprecated") is True,
    )


def kind(schema: Any, root: Any) -> str:
    """Return what a value may be, in a few words: `string (date-time) or null`."""
    said = [_one(each, root) for each in _alternatives(schema, root)]
    return " or ".join(dict.fromkeys(said)) or "any"


def _alternatives(schema: Any, root: Any, depth: int = 0) -> list[Mapping[str, Any]]:
    known = followed(schema, root)
    if not isinstance(known, Mapping) or depth > MAX_DEPTH:
        return []
    for name in ("anyOf", "oneOf"):
        if isinstance(known.get(name), list):
            nested = (_alternatives(each, root, depth + 1) for each in known[name])
            return [each for some in nested for each in some]
    parts = known.get("allOf")
    if isinstance(parts, list) and len(parts) == 1:
        return _alternatives(parts[0], root, depth + 1)
    return [known]


def _one(schema: Mapping[str, Any], root: Any) -> str:
    if "const" in schema:
        return repr_json(schema["const"])
    if isinstance(schema.get("enum"), list):
        return " or ".join(map(repr_json, schema["enum"][:20]))
    kinds = schema.get("type")
    words = " or ".join(map(str, kinds)) if isinstance(kinds, list) else str(kinds or "any")
    if kinds == "array" and isinstance(schema.get("items"), Mapping):
        inner = followed(schema["items"], root)
        name = inner.get("type") if isinstance(inner, Mapping) else None
        return f"array of {name}" if isinstance(name, str) else words
    return f"{words} ({schema['format']})" if isinstance(schema.get("format"), str) else words


def repr_json(value: Any) -> str:
    """Return a plain value as JSON writes it."""
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    return f'"{value}"' if isinstance(value, str) else str(value)
