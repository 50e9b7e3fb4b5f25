"""`hookline event-types export`: the catalogue as a document."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli import _catalogue
from hookline.cli._command import Ask, Key, Place, Server, Way, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hookline._domain.catalogue.described import Described


class Form(StrEnum):
    """Which document."""

    JSON_SCHEMA = "json-schema"
    OPENAPI = "openapi"
    ASYNCAPI = "asyncapi"
    MARKDOWN = "markdown"


def export(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODULE:NAME]",
            help=f"{_catalogue.SOURCE} Without it, a deployment's catalogue.",
            show_default=False,
        ),
    ] = None,
    *,
    form: Annotated[Form, typer.Option("--format", help="Which document.")] = Form.JSON_SCHEMA,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to; `-` prints it.")
    ] = "-",
    title: Annotated[str, typer.Option(help="The title of the document.")] = "Webhooks",
    version: Annotated[
        str, typer.Option("--doc-version", help="The version of the document itself.")
    ] = "1.0.0",
    app_dir: _catalogue.AppDir = Path(),
    database: Place = None,
    server: Server = None,
    key: Key = None,
) -> None:
    """Write the event types as JSON Schemas, OpenAPI 3.1, AsyncAPI 3 or a page of Markdown.

    hookline event-types export app.core.webhooks:webhooks --format openapi -o webhooks.json
    """
    command = "event-types export"
    if source is not None:
        found = _catalogue.of_module(command, source, app_dir)
        _catalogue.write(command, output, _text(found, form, title, version))
        return

    async def work(ask: Ask) -> None:
        kept = await _catalogue.of_deployment(ask.deployment)
        _catalogue.write(command, output, _text(kept, form, title, version))

    way = Way(context.command_path.partition(" ")[2], database, server, key, "default")
    run(work, way, as_json=False)


def _text(found: "Sequence[Described]", form: Form, title: str, version: str) -> str:
    from hookline._domain.catalogue import asyncapi, changes, markdown, openapi  # noqa: PLC0415

    if form is Form.MARKDOWN:
        return markdown.page(found, title)
    if form is Form.JSON_SCHEMA:
        return _catalogue.as_json(changes.document(found))
    make = openapi.document if form is Form.OPENAPI else asyncapi.document
    return _catalogue.as_json(make(found, title, version))
