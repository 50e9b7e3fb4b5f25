"""Applications of each framework with one receiving route, each under a real server on loopback."""

import asyncio
import sys
import threading
import types
from contextlib import contextmanager
from functools import partial

import django
import uvicorn
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test.utils import override_settings
from django.urls import path
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Route
from werkzeug.serving import WSGIRequestHandler, make_server

import hookline.asgi
import hookline.django
import hookline.fastapi
import hookline.flask
import hookline.wsgi
from hookline.receiver import Event

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF="none", LOGGING_CONFIG=None)
    django.setup()

ON_LOOP_END = []
"""What closes a client that belongs to the loop of the server that runs."""

METHODS = ["POST", "OPTIONS", "GET"]


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *args, **kwargs):
        """Say nothing: what the handler raises is the test's."""


@contextmanager
def wsgi_server(app):
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    server.log = lambda *args: None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}/webhook"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Server(uvicorn.Server):
    def __init__(self, app, lifespan):
        super().__init__(uvicorn.Config(app, port=0, log_config=None, lifespan=lifespan, ws="none"))
        self.up = threading.Event()

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.up.set()


@contextmanager
def asgi_server(app, lifespan="off"):
    server = Server(app, lifespan)

    async def life():
        await server.serve()
        while ON_LOOP_END:
            await ON_LOOP_END.pop()()

    thread = threading.Thread(target=lambda: asyncio.run(life()))
    thread.start()
    try:
        assert server.up.wait(10)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/webhook"
    finally:
        server.should_exit = True
        thread.join()


# One for each door: the handler takes the event and returns what a door's handler may ------------


def later(handler):
    """Return the handler as a coroutine function; it works in a thread, as it may wait."""

    async def on_webhook(event):
        return await asyncio.to_thread(handler, event)

    return on_webhook


def wsgi(handler, **options):
    return wsgi_server(hookline.wsgi.receive(**options)(handler))


def asgi(handler, **options):
    return asgi_server(hookline.asgi.receive(**options)(later(handler)), "on")


def asgi_plain(handler, **options):
    return asgi_server(hookline.asgi.receive(**options)(handler))


def starlette(handler, **options):
    endpoint = hookline.asgi.receive(**options)(later(handler))
    return asgi_server(Starlette(routes=[Route("/webhook", endpoint)]))


def flask(handler, **options):
    app = Flask(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.logger.disabled = True
    view = hookline.flask.receive(**options)(handler.__call__)
    app.add_url_rule("/webhook", view_func=view, endpoint="webhook", methods=["POST"])
    return wsgi_server(app)


def fastapi(handler, **options):
    app = FastAPI()

    @app.api_route("/webhook", methods=METHODS)
    @hookline.fastapi.receive(**options)
    async def on_webhook(event: Event):
        return await asyncio.to_thread(handler, event)

    return asgi_server(app)


def fastapi_plain(handler, **options):
    app = FastAPI()

    @app.api_route("/webhook", methods=METHODS)
    @hookline.fastapi.receive(**options)
    def on_webhook(event: Event):
        return handler(event)

    return asgi_server(app)


@contextmanager
def django_views(server, patterns):
    """Serve these URL patterns while the server runs."""
    name = f"urls_{id(patterns)}"
    urls = types.ModuleType(name)
    urls.urlpatterns = patterns
    sys.modules[name] = urls
    try:
        with override_settings(ROOT_URLCONF=name), server as url:
            yield url
    finally:
        del sys.modules[name]


def _django(server, view):
    return django_views(server, [path("webhook", view)])


def django_sync(handler, **options):
    view = hookline.django.receive(**options)(lambda request, event: handler(event))
    return _django(wsgi_server(WSGIHandler()), view)


def django_async(handler, **options):
    async def on_webhook(request, event):
        return await asyncio.to_thread(handler, event)

    view = hookline.django.receive(**options)(on_webhook)
    return _django(asgi_server(ASGIHandler()), view)


SYNC = [wsgi, flask, django_sync]
ASYNC = [asgi, asgi_plain, starlette, fastapi, fastapi_plain, django_async]
CHUNKED = [each for each in SYNC + ASYNC if each is not django_sync]
"""Those whose server takes a body without Content-Length."""


def named(door):
    return door.func.__name__ if isinstance(door, partial) else door.__name__
