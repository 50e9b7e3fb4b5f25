"""The reference page of the REST API, for `generate.py`: every operation, from its description."""

# A script, not a package; and the rows of a table cannot be wrapped.
# ruff: noqa: INP001

from typing import Any

from hookline import Webhooks
from hookline._web.api.app import build


def page() -> str:
    """Return the page, from the OpenAPI document."""
    document = build(Webhooks(database="sqlite:///unused.db", deliver=False)).openapi()
    groups: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            row = _row(method.upper(), path.removeprefix("/api/v1"), operation)
            groups.setdefault(operation["tags"][0], []).append(row)
    chapters = "\n\n".join(
        f"## {name}\n\n| | | |\n|---|---|---|\n" + "\n".join(rows) for name, rows in groups.items()
    )
    return f"""# REST API

Paths are below `/api/v1`. Bodies, answers, errors and examples of each are at `/api/docs` of a
running server ([Run the server](../how-to/serve.md)), for machines at `/api/v1/openapi.json`. Those
that Svix has too are as its clients know them: [Use the Svix clients](../how-to/svix-clients.md).

{chapters}
"""


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    query = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
    asked = f"`?{'&'.join(query)}`" if query else ""
    said = " ".join(operation["description"].split("\n\n")[0].split())
    return f"| `{method} {path}` | {said} | {asked} |"
