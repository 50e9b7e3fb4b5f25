"""The reference pages of the REST API, for `generate.py`: each operation, from its description."""

# A script, not a package; and the rows of a table cannot be wrapped.
# ruff: noqa: INP001, E501

import json
import re
from collections.abc import Iterator
from typing import Any

from hookline import Webhooks
from hookline._web.api.app import build

PREFIX = "/api/v1"
STAR = r" \*"
ALWAYS = {"400", "401", "403", "408", "413", "422", "503"}
"""Refusals of nearly every operation: told once."""


def pages() -> dict[str, str]:
    """Return every page by its path below `docs/`, from the OpenAPI document."""
    document = build(Webhooks(database="sqlite:///unused.db", deliver=False)).openapi()
    groups: dict[str, list[tuple[str, str, Any]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            found = (method.upper(), path.removeprefix(PREFIX), operation)
            groups.setdefault(operation["tags"][0], []).append(found)
    made = {"reference/rest/README.md": _index(document, groups)}
    for name, operations in groups.items():
        chapters = "\n".join(_chapter(*each) for each in operations)
        made[f"reference/rest/{_slug(name)}.md"] = (
            f"# {name}\n\nPaths are below `{PREFIX}`.\n\n{chapters}"
        )
    return made | {"reference/rest/objects.md": _objects(document["components"]["schemas"])}


def _slug(name: str) -> str:
    return re.sub(r"[^\w\- ]", "", name.strip().lower()).replace(" ", "-")


def _title(method: str, path: str) -> str:
    return f"{method} {path}"


def _index(document: dict[str, Any], groups: dict[str, list[tuple[str, str, Any]]]) -> str:
    chapters = "\n\n".join(
        f"## {name}\n\n| | |\n|---|---|\n"
        + "\n".join(
            f"| [`{_title(m, p)}`]({_slug(name)}.md#{_slug(_title(m, p))}) | {_first(o)} |"
            for m, p, o in operations
        )
        for name, operations in groups.items()
    )
    refusals = document["paths"][f"{PREFIX}/app/{{app_id}}/msg"]["post"]["responses"]
    rows = "\n".join(
        f"| {status} | {refusals[status]['description']} |"
        for status in sorted({*ALWAYS, "404", "409"})
    )
    return f"""# REST API

Paths are below `{PREFIX}`. The same with a form to try each is at `/api/docs` of a running server
([Run the server](../../how-to/serve.md)), for machines at `{PREFIX}/openapi.json`. What Svix has too is as
its clients know it: [Use the Svix clients](../../how-to/svix-clients.md).

A key goes into `Authorization: Bearer hk_…` ([make one](../../how-to/keys.md)). Bodies are JSON, times are UTC
in ISO 8601. An application, an endpoint or a message is named by its id or your own uid. A `POST` may have an
`Idempotency-Key`, and is then [done once](../../how-to/serve.md#what-a-client-can-rely-on).

A list has `data`, `done` and `iterator`: ask again with `iterator` for what comes after it, with
`prevIterator` as `iterator` for what came before; `limit` is 250 at most. The fields of every object are in
[Objects](objects.md).

{chapters}

## Refusals

An error is a JSON object with `code` and `detail`; `detail` of a 422 is a list of `loc`, `msg` and `type`.

| status | |
|---|---|
{rows}
"""


def _first(operation: Any) -> str:
    return " ".join(operation["description"].split("\n\n")[0].split())


def _chapter(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [f"## {_title(method, path)}", operation["description"]]
    rows = [_parameter(p) for p in operation.get("parameters", ()) if p["in"] in {"path", "query"}]
    if rows:
        parts.append("| parameter | type | |\n|---|---|---|\n" + "\n".join(rows))
    if body := operation.get("requestBody"):
        parts += _content("Body", body["content"])
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            parts += _content(f"Answer {status}", answer.get("content", {}))
    others = sorted(set(operation["responses"]) - ALWAYS - {"404", "409"})
    said = [f"{s}: {operation['responses'][s]['description']}" for s in others if s[0] != "2"]
    if said:
        parts.append(". ".join(said) + ".")
    return "\n\n".join(part for part in parts if part) + "\n"


def _parameter(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    asked = "" if parameter["in"] == "path" else "?"
    default = schema.get("default")
    kind = _kind(schema) + ("" if default is None else f" = `{json.dumps(default)}`")
    return f"| `{asked}{parameter['name']}` | {kind} | {_cell(parameter.get('description', ''))} |"


def _content(title: str, content: dict[str, Any]) -> Iterator[str]:
    if not content:
        yield f"{title}: no body."
    for media, each in content.items():
        kind = _kind(each.get("schema", {}))
        yield f"{title}: {kind}" + ("" if media == "application/json" else f", `{media}`") + "."
        if "example" in each and media == "application/json":
            shown = json.dumps(each["example"], indent=2, ensure_ascii=False)
            yield f"```json\n{shown}\n```"


def _kind(schema: dict[str, Any]) -> str:
    """Return a type in words, an object's as a link to its fields."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if listed := re.fullmatch(r"Listed_(\w+?)_", name):
            return f"a list of [{listed[1]}](objects.md#{listed[1].lower()})"
        return f"[{name}](objects.md#{name.lower()})"
    if among := schema.get("anyOf") or schema.get("oneOf"):
        kinds = [_kind(each) for each in among if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds)) + (" or null" if len(kinds) < len(among) else "")
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    names = {"object": "object", "string": "text", "integer": "integer", "number": "number"}
    kind = schema.get("type", "anything")
    kind = names.get(kind, kind) if isinstance(kind, str) else " or ".join(kind)
    return {"date-time": "time", "uri": "URL"}.get(schema.get("format", ""), kind)


def _objects(schemas: dict[str, Any]) -> str:
    chapters = "\n".join(
        _object(name, schema) for name, schema in schemas.items() if not name.startswith("Listed_")
    )
    return f"""# Objects

What bodies and answers consist of, `…In`, `…Update` and `…Patch` what is sent, `…Out` what is answered. A name with
a star must be there.

{chapters}"""


def _object(name: str, schema: dict[str, Any]) -> str:
    said = schema.get("description", "")
    if "properties" not in schema:
        return f"## {name}\n\n{said}\n\n{_kind(schema)}\n"
    required = set(schema.get("required", ()))
    rows = "\n".join(
        f"| `{key}`{STAR if key in required else ''} | {_kind(each)} | {_cell(_bounds(each))} |"
        for key, each in schema["properties"].items()
    )
    return f"## {name}\n\n{said}\n\n| field | type | |\n|---|---|---|\n{rows}\n"


def _bounds(schema: dict[str, Any]) -> str:
    """Return what is said of a field, with its bounds."""
    among = [schema, *schema.get("anyOf", ())]
    found = {k: v for each in among for k, v in each.items()}
    said = [schema.get("description", "").rstrip(".")]
    default = schema.get("default")
    if default not in (None, "", [], {}):
        said.append(f"default `{json.dumps(default)}`")
    if "maxLength" in found:
        said.append(f"{found['maxLength']:,} characters at most")
    if "maxItems" in found:
        said.append(f"{found['maxItems']:,} at most")
    low, high = found.get("minimum"), found.get("maximum")
    if low is not None and high is not None:
        said.append(f"{low:,g} to {high:,g}")
    return "; ".join(each for each in said if each)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
