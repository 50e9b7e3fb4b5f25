"""`hookline apps`: the applications, whose endpoints get webhooks."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookline.cli._command import Ask, Yes, command, confirm
from hookline.cli._lists import After, Limit, read
from hookline.cli._values import pair

if TYPE_CHECKING:
    from hookline import Application

app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})

Id = Annotated[str, typer.Argument(metavar="ID", help="Its id or uid.")]
Rate = Annotated[
    float | None,
    typer.Option(help="Requests per second to all of its endpoints together.", show_default=False),
]
Metadata = Annotated[
    list[str] | None, typer.Option("--metadata", metavar="NAME=VALUE", help="Yours. Repeatable.")
]


@app.callback()
def _apps() -> None:
    """Applications: the customers whose endpoints get webhooks, each apart from the others."""


@app.command("list")
@command(app=False)
async def list_(ask: Ask, *, limit: Limit = 50, after: After = None) -> None:
    """List the applications, in the order they were made."""
    from hookline._domain import ids  # noqa: PLC0415
    from hookline.cli._show import documents  # noqa: PLC0415

    found = await read(ask.deployment.applications.page, ids.APPLICATION, limit, after)
    out = ask.out
    if out.as_json:
        out.document(
            {
                "applications": [documents.application(each) for each in found.items],
                "more_from": found.more_from,
            }
        )
        return
    out.table(
        ("ID", "UID", "NAME", "CREATED"),
        [[a.id, a.uid or "–", a.name, out.when(a.created_at)] for a in found.items],
        below=("CREATED",),
    )
    found.tell(out)


@app.command()
@command(app=False)
async def show(ask: Ask, name: Id) -> None:
    """Show an application."""
    _show(ask, await ask.deployment.applications.get(name))


@app.command()
@command(app=False)
async def create(
    ask: Ask,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call it.")],
    *,
    uid: Annotated[str | None, typer.Option(help="Your own id for it, unique.")] = None,
    rate_limit: Rate = None,
    metadata: Metadata = None,
) -> None:
    """Make an application.

    hookline apps create "Acme Ltd" --uid acme --metadata plan=gold
    """
    made = await ask.deployment.applications.create(
        name, uid=uid, rate_limit=rate_limit, metadata=_pairs(metadata)
    )
    _show(ask, made)


@app.command()
@command(app=False)
async def update(
    ask: Ask,
    app_id: Id,
    *,
    name: Annotated[str | None, typer.Option(help="Its new name.")] = None,
    uid: Annotated[str | None, typer.Option(help="Its new uid.")] = None,
    rate_limit: Rate = None,
    metadata: Metadata = None,
) -> None:
    """Change what is named; all metadata is replaced."""
    changes = {"name": name, "uid": uid, "rate_limit": rate_limit}
    given: dict[str, Any] = {field: value for field, value in changes.items() if value is not None}
    if metadata is not None:
        given["metadata"] = _pairs(metadata)
    if not given:
        raise typer.BadParameter("nothing to change; give --name, --uid, --rate-limit, --metadata")
    _show(ask, await ask.deployment.applications.update(app_id, **given))


@app.command()
@command(app=False)
async def delete(ask: Ask, name: Id, *, yes: Yes = False) -> None:
    """Delete an application, with its endpoints, messages and log."""
    found = await ask.deployment.applications.get(name)
    confirm(f"Delete {found.name} ({found.id}), its endpoints, messages and log?", yes=yes)
    await ask.deployment.applications.delete(found.id)
    if ask.out.as_json:
        ask.out.document({"id": found.id, "deleted": True})
    else:
        ask.out.line(f"deleted {found.id}")


def _pairs(texts: list[str] | None) -> dict[str, str]:
    return dict(pair(text, "--metadata", "=", "--metadata plan=gold") for text in texts or ())


def _show(ask: Ask, found: "Application") -> None:
    from hookline.cli._show import documents  # noqa: PLC0415

    out = ask.out
    if out.as_json:
        out.document(documents.application(found))
        return
    out.facts(
        [
            ("id", found.id),
            ("uid", found.uid or ""),
            ("name", found.name),
            ("rate limit", f"{found.rate_limit:g} per second" if found.rate_limit else ""),
            *((f"metadata.{name}", value) for name, value in found.metadata.items()),
            ("created", out.when(found.created_at)),
            ("updated", out.when(found.updated_at)),
        ]
    )
