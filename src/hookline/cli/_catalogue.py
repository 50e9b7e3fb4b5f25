"""Where a catalogue comes from: a module of the application, a file, or a deployment."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookline.cli import _document
from hookline.cli._database import fail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hookline._domain.catalogue.described import Described
    from hookline.cli._reach.protocol import Deployment

AppDir = Annotated[
    Path,
    typer.Option(
        "--app-dir",
        exists=True,
        file_okay=False,
        help="The folder that the application's modules are looked for in.",
    ),
]
SOURCE = (
    "Such as app.core.webhooks:webhooks: a Webhooks, or an Enum, a list or a module of event types."
)


def of_module(command: str, source: str, app_dir: Path) -> "Sequence[Described]":
    """Return the event types that a module declares, as `module` or `module:name`."""
    return _declared(command, _loaded(command, source, app_dir), source)


def of_file(command: str, file: str) -> "Sequence[Described]":
    """Return the event types in a file that `hookline event-types export` wrote."""
    from hookline._domain.catalogue import changes  # noqa: PLC0415
    from hookline.errors import InvalidInput  # noqa: PLC0415

    try:
        return changes.read(_document.read(command, file), file)
    except InvalidInput as error:
        fail(command, error, code=2)


def is_file(source: str) -> bool:
    """Tell whether a source is a file, not a module."""
    return source.endswith(".json") or source == "-"


async def of_deployment(deployment: "Deployment") -> "Sequence[Described]":
    """Return the catalogue of a deployment, without what is archived."""
    from hookline import Cursor, Window  # noqa: PLC0415
    from hookline._domain.page import MAX_LIMIT  # noqa: PLC0415

    found: list[Described] = []
    window = Window(MAX_LIMIT)
    while True:
        page = await deployment.event_types.page(window)
        found += page.items
        if not page.more or not page.items:
            return found
        window = Window(MAX_LIMIT, Cursor(page.items[-1].name))


def _loaded(command: str, source: str, app_dir: Path) -> Any:
    from importlib import import_module  # noqa: PLC0415

    module, _, path = source.partition(":")
    place = str(app_dir.resolve())
    if place not in sys.path:
        sys.path.insert(0, place)
    try:
        found = import_module(module)
    except ImportError as error:
        hint = f"; looked in {place}, give --app-dir for another folder"
        fail(command, f"{module}: {error}{hint if error.name == module else ''}", code=2)
    except Exception as error:  # noqa: BLE001 - whatever a module of somebody's raises
        fail(command, f"{module}: {type(error).__name__}: {error}", code=2)
    for name in filter(None, path.split(".")):
        if not hasattr(found, name):
            fail(command, f"{source}: {module} has no {name!r}", code=2)
        found = getattr(found, name)
    return found


def _declared(command: str, found: Any, source: str) -> "Sequence[Described]":
    from types import ModuleType  # noqa: PLC0415

    from hookline import Webhooks  # noqa: PLC0415
    from hookline._app.catalogue import DeclaredEvents  # noqa: PLC0415
    from hookline.errors import InvalidInput  # noqa: PLC0415

    if isinstance(found, ModuleType):
        ours = [name for name, value in vars(found).items() if isinstance(value, Webhooks)]
        if len({id(vars(found)[name]) for name in ours}) > 1:
            fail(
                command, f"{source}: which one? {', '.join(f'{source}:{n}' for n in ours)}", code=2
            )
        found = vars(found)[ours[0]] if ours else found
    try:
        events = found._events if isinstance(found, Webhooks) else DeclaredEvents(found)  # noqa: SLF001
        return events.whole()
    except (InvalidInput, ImportError) as error:
        fail(command, f"{source}: {error}", code=2)


def as_json(document: Any) -> str:
    """Return a document as text."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def write(command: str, file: str, text: str) -> None:
    """Write a file, `-` for standard output."""
    if file == "-":
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text, "utf-8")
    except OSError as error:
        fail(command, f"{file}: {error.strerror}")
