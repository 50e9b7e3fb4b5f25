"""`hookline import`: make the configuration as a document says."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookline.cli import _document
from hookline.cli._command import Ask, Yes, command
from hookline.cli._database import fail

if TYPE_CHECKING:
    from hookline import Plan
    from hookline.cli._show.out import Out

SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}


@command(app=False)
async def import_(
    ask: Ask,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The document, YAML or JSON; `-` reads it.")
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    yes: Yes = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete what the document's lists do not name.")
    ] = False,
) -> None:
    """Make applications, endpoints and event types as a document says.

    Shows first what would change, field by field, and asks; with --json nothing is asked, and
    without --yes nothing done. A second import changes nothing. When a change fails, those before
    it were made: importing again goes on.

    hookline import hookline.yaml --dry-run
    """
    out, deployment = ask.out, ask.deployment
    plan = await deployment.plan(_document.read("import", file), prune=prune)
    if not out.as_json:
        _show(out, plan)
    go = bool(plan) and not dry_run and (yes or (not out.as_json and _agreed()))
    if go:
        await deployment.apply(plan)
    if out.as_json:
        out.document({"applied": yes and not dry_run, **plan.document})
    elif go:
        out.line("done")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        fail("import", "nobody is here to ask; --yes applies the plan, --dry-run shows it")
    return typer.confirm("Apply?", err=True)


def _show(out: "Out", plan: "Plan") -> None:
    if not plan:
        out.line("nothing to do: everything is as the document says")
        return
    for change in plan.changes:
        sign, color = SIGNS[change.action]
        kind = change.kind.replace("_", " ")
        out.line((f"{sign} {kind} ", color), (change.name, f"bold {color}"))
        for field in change.fields:
            before = "" if field.before is None else f"{_text(field.before)} → "
            out.line((f"    {field.name}: ", "dim"), before, _text(field.after))
        for note in change.notes:
            out.line((f"    {note}", "dim"))
    counts = plan.counts
    out.line(
        f"{counts['create']:,} to create, {counts['update']:,} to change, "
        f"{counts['delete']:,} to delete"
    )


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
