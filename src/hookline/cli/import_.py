"""`hookline import`: make the configuration as a document says."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookline.cli import _document
from hookline.cli._database import Database, fail, opened
from hookline.cli._work import run

if TYPE_CHECKING:
    from hookline import Plan, Webhooks

SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}


def import_(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The document, YAML or JSON; `-` reads it.")
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete what the document's lists do not name.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the plan as JSON; asks nothing, needs --yes.")
    ] = False,
    database: Database = None,
) -> None:
    """Make applications, endpoints and event types as a document says.

    Shows first what would change, field by field, and asks. A second import changes nothing.
    When a change fails, those before it were made: importing again goes on.

    hookline import hookline.yaml --dry-run
    """
    document = _document.read("import", file)
    webhooks = opened("import", database, deliver=False)
    plan = run(
        "import",
        webhooks,
        _whole(
            webhooks,
            document,
            prune=prune,
            show=not as_json,
            go=_go(dry_run=dry_run, yes=yes, as_json=as_json),
        ),
    )
    if as_json:
        applied = yes and not dry_run
        typer.echo(json.dumps({"applied": applied, **plan.document}, ensure_ascii=False, indent=2))


def _go(*, dry_run: bool, yes: bool, as_json: bool) -> Any:
    """Return what decides, once the plan was shown, whether it is applied."""

    def go() -> bool:
        if dry_run or yes or as_json:
            return yes and not dry_run
        if not sys.stdin.isatty():
            fail("import", "nobody is here to ask; --yes applies the plan, --dry-run shows it")
        return typer.confirm("Apply?")

    return go


async def _whole(
    webhooks: "Webhooks", document: Any, *, prune: bool, show: bool, go: Any
) -> "Plan":
    plan = await webhooks.plan(document, prune=prune)
    if show:
        _show(plan)
    if plan and go():
        await webhooks.apply(plan)
        if show:
            typer.echo("done")
    return plan


def _show(plan: "Plan") -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)
    if not plan:
        typer.echo("nothing to do: everything is as the document says")
        return
    for change in plan.changes:
        sign, color = SIGNS[change.action]
        kind = change.kind.replace("_", " ")
        console.print(Text.assemble((f"{sign} {kind} ", color), (change.name, f"bold {color}")))
        for field in change.fields:
            before = "" if field.before is None else f"{_text(field.before)} → "
            console.print(Text.assemble((f"    {field.name}: ", "dim"), before, _text(field.after)))
        for note in change.notes:
            console.print(Text(f"    {note}", "dim"))
    counts = plan.counts
    typer.echo(
        f"{counts['create']:,} to create, {counts['update']:,} to change, "
        f"{counts['delete']:,} to delete"
    )


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
