"""`hookline export`: applications, endpoints and event types as one document."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hookline.cli import _document
from hookline.cli._command import Ask, command
from hookline.cli._database import fail


class Form(StrEnum):
    """How a document is written."""

    YAML = "yaml"
    JSON = "json"


@command(app=False)
async def export(
    ask: Ask,
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to; `-` prints it.")
    ] = "-",
    form: Annotated[
        Form | None,
        typer.Option(
            "--format", help="By default as the file is called, else YAML.", show_default=False
        ),
    ] = None,
    secrets: Annotated[
        bool,
        typer.Option(
            "--secrets", help="With signing secrets, headers and credentials, readable for anyone."
        ),
    ] = False,
) -> None:
    """Write applications, endpoints and event types as one document, for hookline import.

    Endpoints that code or webhooks.json declare are not in it. Without --secrets it can be kept in
    a repository; with them only its owner can read the file.

    hookline export -o hookline.yaml
    """
    if form is None:
        json = ask.out.as_json or output.endswith(".json") or not _document.has_yaml()
        form = Form.JSON if json else Form.YAML
    if form is Form.YAML and not _document.has_yaml():
        fail("export", _document.NEEDS_YAML, code=2)
    found = await ask.deployment.export(secrets=secrets)
    text = _document.as_text(found, form)
    if output == "-":
        sys.stdout.write(text)
        return
    try:
        _write(Path(output), text, private=secrets)
    except OSError as error:
        fail("export", f"{output}: {error.strerror}")
    endpoints = sum(len(each["endpoints"]) for each in found["applications"])
    ask.out.note(
        f"{output}: {len(found['event_types']):,} event types, "
        f"{len(found['applications']):,} applications, {endpoints:,} endpoints"
    )


def _write(path: Path, text: str, *, private: bool) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    opener = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
    try:
        with os.fdopen(opener, "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
