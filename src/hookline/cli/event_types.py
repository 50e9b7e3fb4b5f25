"""`hookline event-types`: the catalogue."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookline.cli._command import Ask, Yes, command, confirm
from hookline.cli._lists import Limit, read
from hookline.cli.event_types_check import check
from hookline.cli.event_types_export import export

if TYPE_CHECKING:
    from hookline import EventType

app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as customer.created.")]
Description = Annotated[str | None, typer.Option(help="What happened.", show_default=False)]
Group = Annotated[str | None, typer.Option("--group", help="The group it is shown in.")]
Schema = Annotated[
    Path | None,
    typer.Option(
        "--schema", exists=True, dir_okay=False, help="A JSON file: schemas by version, or one."
    ),
]
Deprecated = Annotated[
    bool | None,
    typer.Option("--deprecated/--not-deprecated", help="Not for new uses.", show_default=False),
]


@app.callback()
def _event_types() -> None:
    """Event types: the catalogue that endpoints choose from, shared by all applications."""


@app.command("list")
@command(app=False)
async def list_(
    ask: Ask,
    *,
    archived: Annotated[bool, typer.Option("--archived", help="Archived ones too.")] = False,
    limit: Limit = 100,
    after: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Go on after this one.")
    ] = None,
) -> None:
    """List the event types, by name."""
    from hookline.cli._show import documents  # noqa: PLC0415

    kinds, out = ask.deployment.event_types, ask.out
    found = await read(lambda w: kinds.page(w, archived=archived), None, limit, after)
    if out.as_json:
        shown = [documents.event_type(each) for each in found.items]
        out.document({"event_types": shown, "more_from": found.more_from})
        return
    out.table(
        ("NAME", "STATE", "GROUP", "DESCRIPTION"),
        [[t.name, _state(t), t.group_name or "", t.description] for t in found.items],
        below=("DESCRIPTION",),
    )
    found.tell(out)


def _state(found: "EventType") -> Any:
    from hookline.cli._show.out import state  # noqa: PLC0415

    word = "archived" if found.archived else "deprecated" if found.deprecated else "active"
    return state(word)


@app.command()
@command(app=False)
async def show(ask: Ask, name: Name) -> None:
    """Show an event type, with its schemas."""
    _show(ask, await ask.deployment.event_types.get(name))


@app.command()
@command(app=False)
async def create(
    ask: Ask,
    name: Name,
    *,
    description: Description = None,
    schema: Schema = None,
    group: Group = None,
    deprecated: Deprecated = None,
) -> None:
    """Make an event type.

    hookline event-types create customer.created --description "A customer was made"
    """
    made = await ask.deployment.event_types.create(
        name,
        description or "",
        schemas=_schemas(schema),
        group_name=group,
        deprecated=bool(deprecated),
    )
    _show(ask, made)


@app.command()
@command(app=False)
async def update(
    ask: Ask,
    name: Name,
    *,
    description: Description = None,
    schema: Schema = None,
    group: Group = None,
    deprecated: Deprecated = None,
    archived: Annotated[
        bool | None,
        typer.Option("--archived/--not-archived", help="Not listed.", show_default=False),
    ] = None,
) -> None:
    """Change what is named."""
    changes = {
        "description": description,
        "schemas": _schemas(schema),
        "group_name": group,
        "deprecated": deprecated,
        "archived": archived,
    }
    given = {field: value for field, value in changes.items() if value is not None}
    if not given:
        raise typer.BadParameter("nothing to change; see --help for what can be")
    _show(ask, await ask.deployment.event_types.update(name, **given))


@app.command()
@command(app=False)
async def delete(
    ask: Ask,
    name: Name,
    *,
    expunge: Annotated[
        bool, typer.Option("--expunge", help="Forget it, instead of archiving it.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Archive an event type; what is published under its name goes on."""
    if expunge:
        confirm(f"Forget {name} and its schemas, for ever?", yes=yes)
    await ask.deployment.event_types.delete(name, expunge=expunge)
    if ask.out.as_json:
        ask.out.document({"name": name, "expunged": expunge})
    else:
        ask.out.line(f"{'forgotten' if expunge else 'archived'}: {name}")


app.command()(export)
app.command()(check)


def _schemas(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        found = json.loads(file.read_bytes())
    except ValueError as error:
        raise typer.BadParameter(f"{file}: is no JSON: {error}", param_hint="--schema") from None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{file}: expected an object", param_hint="--schema")
    by_version = found and all(name.isdigit() for name in found)
    return found if by_version else {"1": found}


def _show(ask: Ask, found: "EventType") -> None:
    from hookline.cli._show import documents  # noqa: PLC0415

    out = ask.out
    if out.as_json:
        out.document(documents.event_type(found))
        return
    out.facts(
        [
            ("name", found.name),
            ("state", _state(found)),
            ("description", found.description),
            ("group", found.group_name or ""),
            ("flags", ", ".join(found.feature_flags)),
            ("created", out.when(found.created_at)),
            ("updated", out.when(found.updated_at)),
        ]
    )
    if found.schemas:
        out.line()
        for line in json.dumps(found.schemas, indent=2, ensure_ascii=False).splitlines():
            out.line("  ", line)
