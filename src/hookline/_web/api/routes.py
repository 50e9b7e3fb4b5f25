"""Routes: bodies strictly read, repeats recognised, errors documented."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from hookline._web import bodies, errors
from hookline._web.api import repeats
from hookline._web.api.models.wire import HttpErrorOut

PREFIX = "/api/v1"
JSON_TYPE = b"application/json"
COMMON = (401, 403)
_MEANS: Mapping[int, tuple[str, str, str]] = {
    400: ("The request cannot be read", errors.GENERIC, "query: limit: not an integer"),
    401: (
        "There is no valid API key with it",
        errors.UNAUTHENTICATED,
        "this needs a valid API key",
    ),
    403: ("The key does not allow it", errors.FORBIDDEN, "this key does not allow that"),
    404: ("There is none, or none of this key's", errors.NOT_FOUND, "no application 'acme'"),
    409: ("Not as things stand", errors.CONFLICT, "uid: there is an application 'acme' already"),
    408: (
        "The body did not arrive in time",
        errors.GENERIC,
        "body: did not arrive within 30 s",
    ),
    413: ("The body is too large", errors.TOO_LARGE, "body: larger than 1,114,112 bytes"),
    503: ("The database cannot answer now", errors.SERVER, "the database cannot answer now"),
}


def errors_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return `responses=` of an operation: these, and those that any operation may answer.

    422 comes with any parameter or body.
    """
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, *COMMON}):
        what, code, detail = _MEANS[status]
        found[status] = {
            "description": what,
            "model": HttpErrorOut,
            "content": {"application/json": {"example": {"code": code, "detail": detail}}},
        }
    return found


def answers(
    status: int, model: type, example: Any, description: str = "Done"
) -> dict[int | str, dict[str, Any]]:
    """Return `responses=` for what an operation answers when all is well, with an example."""
    content = {"application/json": {"example": example}}
    return {status: {"description": description, "model": model, "content": content}}


class _ApiRequest(Request):
    async def read(self) -> None:
        """Parse the body. Here, because FastAPI makes its own answer of what is raised later."""
        body = await self.body()
        if body:
            self._json = bodies.parse(body)


class ApiRoute(APIRoute):
    """A route whose body is JSON, whatever it is declared to be."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        handle = super().get_route_handler()
        remembers = repeats.remembers(self.endpoint, self.methods or ())

        async def handler(request: Request) -> Response:
            _refuse_nul(request.scope)
            own = _ApiRequest(request.scope, request.receive)
            if self.body_field is not None:
                _declare_json(request.scope)
                await own.read()
            return await (repeats.once(own, handle) if remembers else handle(own))

        return handler


def _refuse_nul(scope: Any) -> None:
    """Refuse what PostgreSQL cannot even be asked for. In bodies, the façade does."""
    if "\0" in scope["path"]:
        raise errors.not_found("there is nothing whose name has a NUL character in it")
    if b"%00" in scope["query_string"]:
        raise errors.invalid(("query",), "has a NUL character (%00) in it")


def _declare_json(scope: Any) -> None:
    for name, value in scope["headers"]:
        if name == b"content-type":
            if value.startswith(JSON_TYPE):
                return
            break
    others = [pair for pair in scope["headers"] if pair[0] != b"content-type"]
    scope["headers"] = [*others, (b"content-type", JSON_TYPE)]


class Router(APIRouter):
    """The routes of one resource."""

    def __init__(self, tag: str) -> None:
        """`tag` is its heading in the documentation."""
        super().__init__(prefix=PREFIX, tags=[tag], route_class=ApiRoute)
