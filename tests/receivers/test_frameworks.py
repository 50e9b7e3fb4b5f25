"""What is special to one framework: its routes, its own ways to end a request, its accidents."""

import asyncio
import io
import subprocess
import sys
import types
from typing import Annotated

import flask
import httpx
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test.utils import override_settings
from django.urls import path
from fastapi import Depends, FastAPI, HTTPException, Response
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.receivers import servers
from tests.receivers.test_doors import BODY, CHALLENGE, SECRET, signed
from tests.unit.test_import import foreign, loaded_by

import hookline.asgi
import hookline.django
import hookline.fastapi
import hookline.flask
import hookline.wsgi
from hookline.once import InMemory
from hookline.receiver import Answer, Event

# FastAPI -----------------------------------------------------------------------------------------


def post(app, url="/webhook", body=BODY, headers=None):
    async def go():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(url, content=body, headers=headers or signed(body))

    return asyncio.run(go())


def test_a_fastapi_endpoint_keeps_its_dependencies_and_parameters():
    """Beside the event, wherever it stands, the endpoint has all that FastAPI gives."""
    app = FastAPI()

    async def tenant(name: str) -> str:
        return name.upper()

    @app.post("/{name}/webhook")
    @hookline.fastapi.receive(SECRET)
    async def on_webhook(
        tenant: Annotated[str, Depends(tenant)],
        response: Response,
        event: Event,
        dry: bool = False,
    ) -> dict[str, str]:
        response.headers["X-Dry"] = str(dry)
        return {"tenant": tenant, "type": event.type}

    answer = post(app, "/acme/webhook?dry=1")
    assert answer.json() == {"tenant": "ACME", "type": "customer.created"}
    assert answer.headers["X-Dry"] == "True"
    [parameters] = [each["post"]["parameters"] for each in app.openapi()["paths"].values()]
    assert {each["name"] for each in parameters} == {"name", "dry"}


def test_a_fastapi_endpoint_whose_annotations_are_text():
    """`from __future__ import annotations` changes nothing."""
    home = types.ModuleType("their_module")
    code = f"""
from __future__ import annotations
from fastapi import FastAPI
from hookline.fastapi import receive
from hookline.receiver import Event
app = FastAPI()

@app.post("/webhook")
@receive({SECRET!r})
async def on_webhook(number: int, event: Event) -> str:
    return f"{{event.id}} {{number + 1}}"
"""
    sys.modules["their_module"] = home
    exec(code, vars(home))  # noqa: S102 - as a module of its own
    assert post(home.app, "/webhook?number=1").json() == "msg_1 2"
    del sys.modules["their_module"]


def test_a_fastapi_endpoint_may_end_by_an_http_exception():
    """An HTTPException is the answer, and the retry runs again."""
    app, seen = FastAPI(), []

    @app.post("/webhook")
    @hookline.fastapi.receive(SECRET, once=InMemory())
    async def on_webhook(event: Event):
        seen.append(event)
        if len(seen) == 1:
            raise HTTPException(429, headers={"Retry-After": "7"})
        return Response(status_code=503) if len(seen) == 2 else {"ok": True}

    answers = [post(app) for _ in range(4)]
    assert [each.status_code for each in answers] == [429, 503, 200, 204]
    assert answers[0].headers["retry-after"] == "7"


def test_a_fastapi_handler_needs_a_parameter_for_the_event():
    """A function that cannot take the event is an error where it is written."""
    assert hookline.fastapi.receive(SECRET)(lambda event: event)
    with pytest.raises(TypeError, match="parameter for the event"):
        hookline.fastapi.receive(SECRET)(lambda: None)


def test_the_dependency_answers_the_challenge_too():
    """Nothing has to be registered with the application for that."""
    app = FastAPI()
    ran = []

    @app.post("/webhook")
    async def on_webhook(event: Annotated[Event, Depends(hookline.fastapi.webhook(SECRET))]):
        ran.append(event)

    answer = post(app, body=CHALLENGE)
    assert (answer.status_code, answer.json()) == (200, {"challenge": "abc é"})
    assert answer.headers["content-type"] == "application/json"
    assert ran == []
    assert post(app).status_code == 200
    assert post(app, body=b"no json").status_code == 400


# Flask -------------------------------------------------------------------------------------------


def test_a_flask_view_has_its_route_and_its_own_answers():
    """Values of the route, tuples, responses and abort() are Flask's, and count as they end."""
    app, seen = flask.Flask(__name__), []

    @app.post("/<name>/webhook")
    @hookline.flask.receive(SECRET, once=InMemory())
    def on_webhook(event, name):
        seen.append((event.type, name))
        if len(seen) == 1:
            flask.abort(503)
        return ({"n": 1}, 500) if len(seen) == 2 else flask.jsonify(name=name)

    client = app.test_client()
    answers = [client.post("/acme/webhook", data=BODY, headers=signed()) for _ in range(4)]
    assert [each.status_code for each in answers] == [503, 500, 200, 204]
    assert answers[2].json == {"name": "acme"}
    assert seen[0] == ("customer.created", "acme")


def test_a_flask_body_that_was_read_as_a_form_is_named():
    """What something else has consumed is the receiver's fault, and is said to be."""
    app = flask.Flask(__name__)
    app.before_request(lambda: flask.request.form and None)
    app.post("/webhook")(hookline.flask.receive(SECRET)(lambda event: None))
    headers = signed() | {"Content-Type": "application/x-www-form-urlencoded"}
    answer = app.test_client().post("/webhook", data=BODY, headers=headers)
    assert answer.status_code == 500
    assert "something read it" in answer.json["detail"]


def test_a_flask_body_that_was_parsed_as_json_is_still_there():
    """Flask keeps the bytes, so a before_request that looks at the JSON does no harm."""
    app = flask.Flask(__name__)
    app.before_request(lambda: flask.request.get_json() and None)
    app.post("/webhook")(hookline.flask.receive(SECRET)(lambda event: None))
    assert app.test_client().post("/webhook", data=BODY, headers=signed()).status_code == 204


# Django ------------------------------------------------------------------------------------------


def django_post(view, server=None, route="webhook", url="", **headers):
    with (
        servers.django_views(
            server or servers.wsgi_server(WSGIHandler()), [path(route, view)]
        ) as at,
        httpx.Client(trust_env=False) as client,
    ):
        return client.post(at + url, content=BODY, headers=signed() | headers)


def test_a_django_view_has_its_route_and_its_own_answers():
    """Values of the route and an HttpResponse are Django's."""

    @hookline.django.receive(SECRET)
    def on_webhook(request, event, number):
        return HttpResponse(f"{request.method} {event.type} {number}", status=202)

    answer = django_post(on_webhook, route="webhook/<int:number>", url="/7")
    assert (answer.status_code, answer.text) == (202, "POST customer.created 7")


def test_a_django_body_that_was_read_is_named():
    """A middleware that consumed the stream is the receiver's fault, and is said to be."""

    def reads(request):
        request.read()
        return hookline.django.receive(SECRET)(lambda request, event: None)(request)

    reads.csrf_exempt = True
    answer = django_post(reads)
    assert answer.status_code == 500
    assert "something read it" in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_django_s_own_limit_is_a_413(kind):
    """A body over DATA_UPLOAD_MAX_MEMORY_SIZE is answered as one over ours."""

    async def later(_request, _event):
        return None

    handler = later if kind == "async" else lambda request, event: None
    server = servers.asgi_server(ASGIHandler()) if kind == "async" else None
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10):
        answer = django_post(hookline.django.receive(SECRET)(handler), server)
    assert answer.status_code == 413


def test_django_checks_csrf_elsewhere_but_not_here():
    """With Django's CSRF middleware on, a webhook comes in and another view is protected."""
    middleware = ["django.middleware.csrf.CsrfViewMiddleware"]
    with override_settings(MIDDLEWARE=middleware):
        view = hookline.django.receive(SECRET)(lambda request, event: None)
        assert django_post(view).status_code == 204
        assert django_post(lambda request: HttpResponse()).status_code == 403


# ASGI and WSGI -----------------------------------------------------------------------------------


def test_an_asgi_application_takes_part_in_the_server_s_life():
    """It answers lifespan messages, closes WebSockets, and can be mounted."""

    @hookline.asgi.receive(SECRET)
    def application(event):
        """Take it."""

    assert application.__doc__ == "Take it."

    async def drive(kind, *messages):
        left, sent = list(messages), []

        async def receive():
            return {"type": left.pop(0)}

        async def send(message):
            sent.append(message["type"])

        await application({"type": kind}, receive, send)
        return sent

    both = asyncio.run(drive("lifespan", "lifespan.startup", "lifespan.shutdown"))
    assert both == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert asyncio.run(drive("websocket", "websocket.connect")) == ["websocket.close"]
    mounted = Starlette(routes=[Mount("/hooks", application)])
    assert post(mounted, "/hooks/any").status_code == 204


def wsgi_call(body, **environ):
    said = []
    application = hookline.wsgi.receive(SECRET)(lambda event: None)
    headers = {f"HTTP_{n.upper().replace('-', '_')}": v for n, v in signed().items()}
    base = {"REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(body), **headers, **environ}
    content = application(base, lambda status, headers: said.append((status, dict(headers))))
    return said[0][0], b"".join(content)


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"CONTENT_LENGTH": str(len(BODY))}, "204 No Content"),
        ({"wsgi.input_terminated": True}, "204 No Content"),
        ({"CONTENT_LENGTH": str(len(BODY) + 1)}, "400 Bad Request"),
        ({"CONTENT_LENGTH": "x"}, "400 Bad Request"),
        ({"CONTENT_LENGTH": "-5"}, "400 Bad Request"),
        ({"CONTENT_LENGTH": "9" * 30}, "413 Request Entity Too Large"),
        ({"CONTENT_LENGTH": ""}, "401 Unauthorized"),
        ({}, "401 Unauthorized"),
    ],
)
def test_wsgi_lengths(environ, status):
    """A body is read as far as it is announced; one that ends early is no webhook."""
    assert wsgi_call(BODY, **environ)[0] == status


@pytest.mark.parametrize("value", ["text", True, b"x", {"a": 1}])
def test_what_is_no_answer_is_an_error_of_the_handler(value):
    """A handler's result that means nothing is a TypeError, not a success."""
    application = hookline.wsgi.receive(SECRET)(lambda event: value)
    headers = {f"HTTP_{n.upper().replace('-', '_')}": v for n, v in signed().items()}
    environ = {"REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(BODY), **headers}
    with pytest.raises(TypeError, match="expected None, a status"):
        application(environ | {"CONTENT_LENGTH": str(len(BODY))}, lambda *args: None)
    with pytest.raises(TypeError):
        Answer.of(value)


# Without the frameworks --------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["asgi", "wsgi", "once"])
def test_the_plain_doors_are_standard_library_only(door):
    """Whoever has no framework needs none, nor a database."""
    modules = loaded_by(f"import hookline.{door}")
    assert foreign(modules) == set()
    assert "sqlite3" not in modules


@pytest.mark.parametrize("name", ["flask", "django", "fastapi"])
def test_a_missing_framework_says_what_to_install(name):
    """Without its framework a door's import is an error that names the extra."""
    code = f"import sys; sys.modules[{name!r}] = None; import hookline.{name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"pip install 'hookline[{name}]'" in done.stderr
