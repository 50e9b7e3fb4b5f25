"""The interactive description of the API, with nothing from outside and no script in the page."""

from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from hookline._web.shell import SLASH

ROOT = "/api/docs"
POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    # Swagger UI styles its elements one by one.
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hookline API</title>
<link rel="icon" href="docs/favicon.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "v1/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  tryItOutEnabled: true,
});
"""


async def _page(request: Request) -> Response:
    if request.scope.get(SLASH):  # the page's links count on there being none
        return RedirectResponse("../docs", headers=POLICY)
    return Response(_PAGE, headers=POLICY, media_type="text/html")


async def _start(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
    return Response(_START, headers=POLICY, media_type="text/javascript")


def routes() -> list[BaseRoute]:
    """Return the routes of `/api/docs`; the scripts are those of fastapi-offline."""
    found = find_spec("fastapi_offline")
    if found is None or found.origin is None:
        raise ImportError("fastapi_offline is not installed", name="fastapi_offline")
    assets = Path(found.origin).parent / "static"
    return [
        Route(ROOT, _page, include_in_schema=False),
        Route(f"{ROOT}/start.js", _start, include_in_schema=False),
        Mount(ROOT, StaticFiles(directory=assets)),
    ]
