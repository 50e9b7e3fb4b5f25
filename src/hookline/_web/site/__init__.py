"""The documentation at `/docs/`: the static site that `make docs` builds into this package.

A wheel has it when it was built before; a source checkout without it has a page that says so.
"""

import os
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles

from hookline._web.shell import SLASH

BUILT = Path(__file__).parent / "built"
ROOT = "/docs"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_MISSING = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Hookline documentation</title>
</head>
<body>
<h1>The documentation is not built here</h1>
<p>This Hookline was installed from a source checkout. Run <code>make docs</code> there, and start
again: the pages are then here. Until then they can be read as they are, in <code>docs/</code>,
beginning with <code>docs/README.md</code>.</p>
<p lang="zh-CN">此处尚未构建文档。请在源码目录运行 <code>make docs</code> 后重新启动；也可以直接阅读
<code>docs/README.md</code>。</p>
<p>The REST API is described at <a href="../api/docs">/api/docs</a>.</p>
</body>
</html>
"""


class Site:
    """The pages of a folder. What is in it is looked up once: nothing else can be asked for."""

    def __init__(self, folder: Path = BUILT) -> None:
        """Look what there is; `folder` need not exist."""
        self._files = {
            path.relative_to(folder).as_posix(): path.resolve()
            for path in folder.rglob("*")
            if path.is_file()
        }
        self._sender = StaticFiles(directory=folder, check_dir=False)

    def routes(self) -> list[BaseRoute]:
        """Return the routes of `/docs`."""
        return [
            Route(ROOT, self._answer, include_in_schema=False),
            Route(ROOT + "/{path:path}", self._answer, include_in_schema=False),
        ]

    async def _answer(self, request: Request) -> Response:
        """Return a file; of a folder its index, with the slash that its links count on."""
        path = request.path_params.get("path", "")
        index = f"{path}/index.html".lstrip("/")
        if not path or index in self._files:
            if not request.scope.get(SLASH):
                last = request.scope["path"].rpartition("/")[2]
                return RedirectResponse(f"{last}/", headers=HEADERS)
            path = index
        if path in self._files:
            answer = self._file(path, request)
            answer.headers.update(HEADERS)
            return answer
        if path == "index.html":
            return Response(_MISSING, headers=HEADERS, media_type="text/html")
        raise HTTPException(404)

    def _file(self, path: str, request: Request) -> Response:
        place = self._files[path]
        try:
            return self._sender.file_response(place, os.stat(place), request.scope)  # noqa: PTH116
        except FileNotFoundError:  # built anew since
            raise HTTPException(404) from None
