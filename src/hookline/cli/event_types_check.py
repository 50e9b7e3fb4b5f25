"""`hookline event-types check`: which change of the catalogue breaks receivers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli import _catalogue
from hookline.cli._database import fail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hookline._domain.catalogue.described import Described
    from hookline.events import CatalogueChange

BREAKING = 1


def check(
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD", help="The file that was committed, such as webhooks.lock.json."
        ),
    ],
    new: Annotated[
        str,
        typer.Argument(metavar="NEW", help=f"{_catalogue.SOURCE} Or a file as OLD."),
    ],
    *,
    exact: Annotated[
        bool, typer.Option("--exact", help="Exit with 1 for any difference: OLD is to be current.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Accept the changes: make OLD what NEW is.")
    ] = False,
    app_dir: _catalogue.AppDir = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print the changes as JSON.")] = False,
) -> None:
    """Say which change of the event types breaks receivers, from a committed file to the code.

    Exits 0 when none does, 1 when one does, 2 when it was asked for wrongly. What was deprecated
    with a day from which on it is not sent may be removed from that day on.

    hookline event-types check webhooks.lock.json app.core.webhooks:webhooks
    """
    from datetime import UTC, datetime  # noqa: PLC0415

    from hookline._domain.catalogue import changes  # noqa: PLC0415
    from hookline.errors import InvalidInput  # noqa: PLC0415

    command = "event-types check"
    is_first = write and not Path(old).exists()
    before = [] if is_first else _catalogue.of_file(command, old)
    if _catalogue.is_file(new):
        after = _catalogue.of_file(command, new)
    else:
        after = _catalogue.of_module(command, new, app_dir)
    try:
        found = changes.changes(before, after, datetime.now(UTC).date())
    except InvalidInput as error:
        fail(command, error, code=2)
    _show(found, as_json=json)
    if write:
        _catalogue.write(command, old, _text(after))
        typer.echo(f"{old}: {len(after):,} event types written", err=True)
    elif any(each.breaking for each in found):
        raise typer.Exit(BREAKING)
    elif exact and _text(before) != _text(after):
        typer.echo(f"{old} is not current; accept with --write", err=True)
        raise typer.Exit(BREAKING)


def _text(found: "Sequence[Described]") -> str:
    from hookline._domain.catalogue import changes  # noqa: PLC0415

    return _catalogue.as_json(changes.document(found))


def _show(found: "Sequence[CatalogueChange]", *, as_json: bool) -> None:
    breaking = sum(each.breaking for each in found)
    if as_json:
        lines = [each._asdict() for each in found]
        typer.echo(_catalogue.as_json({"breaking": breaking, "changes": lines}), nl=False)
        return
    for each in found:
        typer.echo(f"{'✗' if each.breaking else '✓'} {each}")
    if breaking:
        verb = "breaks" if breaking == 1 else "break"
        typer.echo(f"{breaking} of {len(found)} changes {verb} receivers.")
    else:
        typer.echo("No change breaks receivers." if found else "Nothing changed for receivers.")
