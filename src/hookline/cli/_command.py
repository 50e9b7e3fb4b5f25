"""What the commands about a deployment have in common: their options, their ways, their endings.

    @app.command()
    @command()
    async def show(ask: Ask, message: Annotated[str, typer.Argument(…)]) -> None:

The decorator adds `--database`, `--server`, `--key`, `--app` and `--json`, and ends the process
with 0 (done), 1 (refused, or failed) or 2 (it was asked for wrongly).
"""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, NamedTuple, ParamSpec

import typer

from hookline.cli._database import HELP, fail, opened

if TYPE_CHECKING:
    from hookline import Webhooks
    from hookline.cli._reach.protocol import Deployment, Reach
    from hookline.cli._show.out import Out

P = ParamSpec("P")
REFUSED, USAGE = 1, 2
KEYWORD = inspect.Parameter.KEYWORD_ONLY
REACH = "Which deployment"

Place = Annotated[
    str | None,
    typer.Option(metavar="URL", help=HELP, show_default=False, rich_help_panel=REACH),
]
Server = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="HOOKLINE_SERVER",
        help="Ask this server instead of a database, such as https://hooks.example.com; else "
        "HOOKLINE_SERVER.",
        show_default=False,
        show_envvar=False,
        rich_help_panel=REACH,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        metavar="TOKEN",
        envvar="HOOKLINE_API_KEY",
        help="The key for the server, hk_…; better kept in HOOKLINE_API_KEY: others can read a "
        "command line.",
        show_default=False,
        show_envvar=False,
        rich_help_panel=REACH,
    ),
]
App = Annotated[
    str,
    typer.Option(
        "--app",
        metavar="ID",
        envvar="HOOKLINE_APP",
        help="The application, by id or uid.",
        show_envvar=False,
        rich_help_panel=REACH,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document; notes go to standard error.")
]
Deliver = Annotated[
    bool,
    typer.Option(
        "--deliver",
        help="Deliver from this process too: for a database that no worker looks after.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class Way(NamedTuple):
    """Which command it is, and how a deployment is reached: by database, or by server and key."""

    command: str
    database: str | None
    server: str | None
    key: str | None
    app: str


class Ask:
    """What a command has in hand."""

    def __init__(self, deployment: "Deployment", out: "Out", way: Way) -> None:
        """Take where to ask and where to print."""
        self.deployment = deployment
        self.out = out
        self.way = way

    async def app(self) -> "Reach":
        """Return the application that is named."""
        return await self.deployment.for_application(self.way.app)

    async def warn_if_idle(self) -> None:
        """Say that nothing is delivered, where that is so and can be told."""
        from hookline import Webhooks  # noqa: PLC0415
        from hookline.cli._reach.local import is_delivered  # noqa: PLC0415

        local = self.deployment
        if not isinstance(local, Webhooks) or local.settings.deliver:
            return
        if not await is_delivered(local):
            self.out.note(
                "no process delivers from this database now: start hookline worker, or give "
                "--deliver"
            )


def confirm(question: str, *, yes: bool) -> None:
    """Go on only when that is wanted."""
    if not yes:
        typer.confirm(question, abort=True, err=True)


def command(
    *, app: bool = True
) -> Callable[[Callable[Concatenate[Ask, P], Coroutine[Any, Any, None]]], Callable[..., None]]:
    """Make a Typer command of a coroutine; `app`: it is about one application.

    One with the option `--deliver` delivers when that is given.
    """

    def decorate(
        work: Callable[Concatenate[Ask, P], Coroutine[Any, Any, None]],
    ) -> Callable[..., None]:
        signature = inspect.signature(work)
        own = list(signature.parameters.values())[1:]
        shared: list[tuple[str, Any, Any]] = [
            ("database", Place, None),
            ("server", Server, None),
            ("key", Key, None),
            ("application", App, "default"),
            ("as_json", AsJson, False),
        ]
        added = [
            inspect.Parameter(name, KEYWORD, default=default, annotation=of)
            for name, of, default in shared
            if app or name != "application"
        ]

        @wraps(work)
        def ask(**given: Any) -> None:
            context: typer.Context = given.pop("context")
            way = Way(
                context.command_path.removeprefix(context.find_root().info_name or "").strip(),
                given.pop("database"),
                given.pop("server"),
                given.pop("key"),
                given.pop("application", "default"),
            )
            run(work, way, as_json=given.pop("as_json"), **given)

        context = inspect.Parameter("context", KEYWORD, annotation=typer.Context)
        parameters = [*own, *added, context]
        names = {p.name: p.annotation for p in parameters}
        ask.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        ask.__annotations__ = names
        del ask.__wrapped__
        return ask

    return decorate


def run(
    work: Callable[..., Coroutine[Any, Any, None]], way: Way, *, as_json: bool, **given: Any
) -> None:
    """Reach a deployment, do some work there, and end the process as all commands do."""
    import asyncio  # noqa: PLC0415
    import logging  # noqa: PLC0415

    from hookline.cli._show.out import Out  # noqa: PLC0415
    from hookline.errors import HooklineError, InvalidInput, InvalidSettings  # noqa: PLC0415

    name = way.command
    # What is done is printed; the log of each attempt would only be in the way.
    logging.getLogger("hookline").addHandler(logging.NullHandler())

    async def whole() -> None:
        async with _deployment(way, deliver=bool(given.get("deliver"))) as deployment:
            await work(Ask(deployment, Out(as_json=as_json), way), **given)

    try:
        asyncio.run(whole())
    except (InvalidInput, InvalidSettings) as error:
        fail(name, _said(error), code=USAGE)
    except HooklineError as error:
        fail(name, _said(error), code=REFUSED)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@asynccontextmanager
async def _deployment(way: Way, *, deliver: bool) -> "AsyncIterator[Deployment]":
    if way.server is not None and way.database is None:
        from hookline.cli._reach.http import in_the_clear  # noqa: PLC0415
        from hookline.cli._reach.remote import Remote  # noqa: PLC0415

        if deliver:
            raise typer.BadParameter("a server delivers by itself", param_hint="--deliver")
        remote = Remote(way.server, way.key)
        if in_the_clear(remote.client.base):
            typer.echo(f"{way.server}: plain http: others on the way can read the key", err=True)
        yield remote
        return
    from hookline.cli._reach.local import ready  # noqa: PLC0415

    webhooks: Webhooks = opened(way.command, way.database, deliver=deliver)
    try:
        await ready(webhooks)
        yield webhooks
    finally:
        await webhooks.stop()


_SAID = (
    ("see Webhooks.endpoints()", "see hookline endpoints list"),
    ("see Webhooks.jobs()", "see hookline replay list"),
    ("with await webhooks.enable(…)", "with hookline endpoints enable"),
    ("with await webhooks.verify_endpoint(…)", "with hookline endpoints verify"),
    ("; use datetime.now(UTC)", ""),
    ("since: give either the time to begin at, or message=", "give either --since or --message"),
)
_HINTS = (
    ("no application ", "; see hookline apps list"),
    ("no endpoint ", "; see hookline endpoints list"),
    ("no job ", "; see hookline replay list"),
    ("no message ", "; see hookline messages list"),
    ("no event type ", "; see hookline event-types list"),
)


def _said(error: Exception) -> str:
    """Return what an error says, in the words of the command line."""
    text = str(error)
    for python, shell in _SAID:
        text = text.replace(python, shell)
    for start, hint in _HINTS:
        if text.startswith(start) and "; see hookline" not in text:
            text += hint
    return text
