"""Flask: send webhooks with an extension, receive them with a view.

hookline = Hookline()
hookline.init_app(app)
hookline.trigger("order.placed", {"number": "A-1"}, session=db.session)

@app.post("/webhook")
@receive("your-secret-key")
def on_webhook(event: Event) -> None: ...
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from enum import Enum
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

try:
    import click
    from flask import Flask, Response, current_app, has_app_context, make_response, request
    from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
except ImportError as error:
    raise ImportError("hookline.flask needs Flask: pip install 'hookline[flask]'") from error

from hookline._domain.instance import MISSING, Instance
from hookline.receiver import Answer, Event, Options
from hookline.receiver._door import Door, drive, is_success, refusal

if TYPE_CHECKING:
    from hookline import Endpoint, OperationalEvent, SyncWebhooks, Webhooks
    from hookline._app.publishing import Publishable, TriggerOptions
    from hookline._app.sync import SyncReceipt
    from hookline._domain.options import EndpointOptions

__all__ = ["Hookline", "receive"]

PREFIX = "HOOKLINE_"

View: TypeAlias = Callable[..., Response]


def receive(
    secret: str | Sequence[str], **options: Unpack[Options]
) -> Callable[[Callable[..., Any]], View]:
    """Return a decorator that makes a handler of events a Flask view.

    `secret` is the endpoint's, or several while one replaces another; `options` are those of
    `hookline.receiver.Options`. The handler gets the event, and the values of the route by name;
    it returns None (204), a status, or whatever a view may return. What it raises goes to Flask.

    Raises InvalidSecret at once for a secret that cannot verify anything, such as an empty one.
    """
    door = Door(secret, **options)

    def decorate(handler: Callable[..., Any]) -> View:
        @wraps(handler)
        def view(**values: Any) -> Response:
            verdict = _verdict(door)
            if isinstance(verdict, Answer):
                return _response(verdict)
            run = current_app.ensure_sync(handler)
            steps = door.handle(
                verdict,
                lambda: _response(run(verdict, **values)),
                lambda response: is_success(response.status_code),
            )
            return _response(drive(steps))

        if options.get("origins"):
            # Flask adds these methods to the route, and leaves OPTIONS to the view.
            view.required_methods = {"OPTIONS"}  # type: ignore[attr-defined]
            view.provide_automatic_options = False  # type: ignore[attr-defined]
        return view

    return decorate


def _verdict(door: Door) -> Event | Answer:
    if answer := door.early(request.method, request.headers):
        return answer
    # One more than the limit: a body of unknown length is cut there without an error.
    request.max_content_length = door.limit + 1
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        return door.too_large()
    except BadRequest:  # the sender went away
        return refusal(400, "body: ended early")
    return door.too_large() if len(body) > door.limit else door.judge(body, request.headers)


def _response(value: Any) -> Response:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        value = Answer.of(value)
    if isinstance(value, Answer):
        return Response(value.body, value.status, dict(value.headers))
    response = make_response(value)
    assert isinstance(response, Response)  # noqa: S101 - for the type checker
    return response


# sending -----------------------------------------------------------------------------------------


class Hookline:
    """The extension: one `Webhooks` per application, by what its `config` says.

    `HOOKLINE_DATABASE` and every other setting are keys of `app.config`; without the former it is
    the database of Flask-SQLAlchemy (`SQLALCHEMY_DATABASE_URI`). `events` and `on_event` are those
    of `Webhooks`. Delivery starts with the first request of each process, so that a server may
    fork before; with `HOOKLINE_DELIVER = False`, `flask hookline worker` delivers instead. Adds
    the command `flask hookline …`.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        events: type[Enum] | Iterable[str | Enum] | None = None,
        on_event: "Callable[[OperationalEvent], Any] | None" = None,
    ) -> None:
        """Raises what `init_app` raises, where an application is given."""
        self._events = events
        self._on_event = on_event
        self._declared: list[tuple[tuple[Any, ...], EndpointOptions]] = []
        self._apps: list[Flask] = []
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Make the application's `Webhooks`, from its config. Opens nothing yet.

        Raises InvalidSettings for what cannot be used, or a `HOOKLINE_` key that is no setting.
        """
        from hookline import Webhooks  # noqa: PLC0415 - loads the engine

        webhooks = Webhooks(events=self._events, on_event=self._on_event, **_settings(app))
        for arguments, options in self._declared:
            webhooks.register(*arguments, **options)
        app.extensions["hookline"] = webhooks
        self._apps.append(app)
        app.before_request(_once_per_process(webhooks))
        app.cli.add_command(_command(webhooks))

    @property
    def sync(self) -> "SyncWebhooks":
        """What the application at hand does: `hookline.sync.endpoints()`, and all the rest.

        Outside of an application's context it is that of the only one. Raises RuntimeError when
        there is none, or several.
        """
        if has_app_context():
            found = current_app.extensions.get("hookline")
        else:
            found = self._apps[0].extensions["hookline"] if len(self._apps) == 1 else None
        if found is None:
            raise RuntimeError("hookline: no application; call init_app(app), or use a context")
        webhooks: Webhooks = found
        return webhooks.sync

    def register(
        self,
        url: str,
        events: Iterable[str | Enum],
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: "Unpack[EndpointOptions]",
    ) -> "Endpoint | None":
        """Declare an endpoint for every application, those there are and those to come.

        Returns it where there is an application; see `Webhooks.register` for what it raises.
        """
        arguments = (url, events, secret, headers)
        self._declared.append((arguments, options))
        endpoint = None
        for app in self._apps:
            endpoint = app.extensions["hookline"].register(*arguments, **options)
        return endpoint

    def trigger(
        self,
        event: "str | Enum | Instance",
        data: Any = MISSING,
        metadata: Any = None,
        *,
        session: Any = None,
        connection: Any = None,
        **options: "Unpack[TriggerOptions]",
    ) -> "SyncReceipt":
        """Publish an event; with `session=`, in its transaction. See `Webhooks.trigger`."""
        return self.sync.trigger(
            event, data, metadata, session=session, connection=connection, **options
        )

    def trigger_many(
        self,
        events: "Iterable[Publishable]",
        *,
        session: Any = None,
        connection: Any = None,
    ) -> "list[SyncReceipt]":
        """Publish several events in one commit. See `Webhooks.trigger_many`."""
        return self.sync.trigger_many(events, session=session, connection=connection)


def _settings(app: Flask) -> dict[str, Any]:
    from hookline import Settings  # noqa: PLC0415 - loads the engine
    from hookline.errors import InvalidSettings  # noqa: PLC0415

    known = [field.name for field in fields(Settings)]
    given = {k[len(PREFIX) :].lower(): v for k, v in app.config.items() if k.startswith(PREFIX)}
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
            raise InvalidSettings(f"app.config: there is no {PREFIX}{name.upper()}{hint}")
    uri = app.config.get("SQLALCHEMY_DATABASE_URI")
    if "database" not in given and uri is not None:
        given["database"] = _where_flask_sqlalchemy_looks(str(uri), app)
    return given


def _where_flask_sqlalchemy_looks(uri: str, app: Flask) -> str:
    """Return the URL with a relative file in the instance folder."""
    scheme, mark, path = uri.partition(":///")
    if scheme.startswith("sqlite") and mark and path and path != ":memory:":
        return f"{scheme}:///{Path(app.instance_path) / path}"
    return uri


def _once_per_process(webhooks: "Webhooks") -> Callable[[], None]:
    from hookline.errors import StorageError  # noqa: PLC0415 - stays out of receivers

    started: set[int] = set()

    def start() -> None:
        if os.getpid() in started:
            return
        try:
            webhooks.init()
        except StorageError as error:  # not this request's business; the next one tries again
            current_app.logger.error("Webhooks are not delivered yet: %s", error)  # noqa: TRY400
        else:
            started.add(os.getpid())

    return start


def _command(webhooks: "Webhooks") -> click.Command:
    """Return Hookline's command line as a command of Flask's, on the application's settings."""
    from hookline._app.hosted import Host, host  # noqa: PLC0415 - loads the engine

    def run(arguments: tuple[str, ...]) -> None:
        cli = import_module("hookline.cli")  # by name: it stands above every door
        token = host.set(Host("flask hookline", lambda: webhooks))
        try:
            cli.app(list(arguments), prog_name="flask hookline")
        finally:
            host.reset(token)

    return click.Command(
        "hookline",
        callback=run,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        help="Hookline: worker, doctor, endpoints, messages, replay, … (flask hookline --help)",
        short_help="Webhooks: worker, doctor, endpoints, messages, …",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )
