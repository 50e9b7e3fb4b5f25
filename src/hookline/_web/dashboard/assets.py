"""What pages load: files of this package, kept by browsers until their content is another."""

import hashlib
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from hookline._web.dashboard.view import HEADERS

KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Assets:
    """The assets of a folder."""

    def __init__(self, folder: Path) -> None:
        """Read what there is."""
        self._files = {path.name: path for path in folder.iterdir() if path.suffix in KINDS}
        self.versions = {
            name: hashlib.sha256(path.read_bytes()).hexdigest()[:12]
            for name, path in self._files.items()
        }

    def routes(self) -> list[BaseRoute]:
        """Return a route for each."""
        return [
            Route(f"/static/{name}", partial(_asset, path)) for name, path in self._files.items()
        ]


async def _asset(path: Path, request: Request) -> Response:
    kept = "public, max-age=31536000, immutable" if "v" in request.query_params else "no-cache"
    return FileResponse(
        path,
        headers={**HEADERS, "Cache-Control": kept, "Vary": "Accept-Encoding"},
        media_type=KINDS[path.suffix],
    )
