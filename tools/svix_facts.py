"""The facts of Svix's published specification, without its sentences: what our tests compare with.

python -m tools.svix_facts svix-openapi.json > tests/vectors/svix-api.json

Methods, paths, parameters, names, types, limits and statuses are kept; every description, title and
example is left out.
"""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

METHODS = ("get", "post", "put", "patch", "delete")
KEPT = (
    "type",
    "format",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
)
REF, MODELS = "#/components/schemas/", "#/models/"


def schema(theirs: Any) -> dict[str, Any]:
    """Return a schema as JSON Schema 2020-12 has it, less what only people read."""
    if "$ref" in theirs:
        found: dict[str, Any] = {"$ref": theirs["$ref"].replace(REF, MODELS)}
        return {"anyOf": [found, {"type": "null"}]} if theirs.get("nullable") else found
    found = {name: theirs[name] for name in KEPT if name in theirs}
    if theirs.get("nullable") and "type" in found:
        found["type"] = [found["type"], "null"]
    if "items" in theirs:
        found["items"] = schema(theirs["items"])
    if isinstance(theirs.get("additionalProperties"), dict):
        found["additionalProperties"] = schema(theirs["additionalProperties"])
    if "properties" in theirs:
        found["properties"] = {n: schema(s) for n, s in sorted(theirs["properties"].items())}
    if "required" in theirs:
        found["required"] = sorted(theirs["required"])
    for name in ("oneOf", "anyOf", "allOf"):
        if name in theirs:
            found[name] = [schema(part) for part in theirs[name]]
    return found


def _model(content: Any) -> str | None:
    """Return the name of the model of a body; None for none."""
    own = content.get("content", {}).get("application/json", {}).get("schema")
    if own is None:
        return None
    return str(own.get("$ref", "")).removeprefix(REF) or "any"


def operation(theirs: Any) -> dict[str, Any]:
    """Return the facts of one operation."""
    found: dict[str, Any] = {"id": theirs.get("operationId")}
    query = {
        each["name"]: schema(each["schema"]) | ({"required": True} if each.get("required") else {})
        for each in theirs.get("parameters", ())
        if each["in"] == "query"
    }
    if query:
        found["query"] = query
    if "requestBody" in theirs:
        found["body"] = _model(theirs["requestBody"])
    found["answers"] = {status: _model(answer) for status, answer in theirs["responses"].items()}
    return found


def facts(document: Any) -> dict[str, Any]:
    """Return the facts of a whole specification."""
    operations = {
        f"{method.upper()} {path}": operation(item[method])
        for path, item in sorted(document["paths"].items())
        for method in METHODS
        if method in item
    }
    models = document["components"]["schemas"]
    sent = [_model(each["post"]["requestBody"]) for each in document["x-webhooks"].values()]
    webhooks = {models[each]["properties"]["type"]["enum"][0]: each for each in sent if each}
    reached = _reached(operations, models, webhooks.values())
    return {
        "of": f"{document['info']['title']} {document['info']['version']}",
        "operations": operations,
        "webhooks": dict(sorted(webhooks.items())),
        "models": {name: schema(models[name]) for name in sorted(reached)},
    }


def _reached(operations: Any, models: Any, webhooks: Iterable[str]) -> set[str]:
    """Return the names of the models that operations and webhooks use, also by way of others."""
    named = [*webhooks, *(each.get("body") for each in operations.values())]
    named += [name for each in operations.values() for name in each["answers"].values()]
    named += re.findall(rf"{MODELS}(\w+)", json.dumps(operations))
    found: set[str] = set()
    while named:
        name = named.pop()
        if name in models and name not in found:
            found.add(name)
            named += re.findall(rf"{REF}(\w+)", json.dumps(models[name]))
    return found


def lines(document: Any) -> str:
    """Return the facts as JSON, one line for each operation, webhook and model."""
    parts = []
    for name in ("operations", "webhooks", "models"):
        rows = ",\n".join(f"  {json.dumps(n)}: {json.dumps(o)}" for n, o in document[name].items())
        parts.append(f' "{name}": {{\n{rows}\n }}')
    head = f'{{\n "of": {json.dumps(document["of"])},\n'
    return head + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    sys.stdout.write(lines(facts(json.loads(Path(sys.argv[1]).read_text("utf-8")))))
