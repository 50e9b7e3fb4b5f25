"""`hookline migrate`: bring the schema up to date."""

from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli._database import Database, fail, opened

if TYPE_CHECKING:
    from hookline import Webhooks

PATIENCE = 2.0
"""Seconds until it is said that this takes its time."""
LOCKED_PAUSE = 0.5
"""Seconds between tries while another process writes to an SQLite file."""


def migrate(
    *,
    database: Database = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Change nothing: exit 1 unless the schema is current."),
    ] = False,
) -> None:
    """Make Hookline's tables in the database, or bring them up to date.

    On PostgreSQL run it before each new release starts; an SQLite file is
    migrated by whatever opens it first. Safe to run twice, also at the same
    time: the second one waits for the first.
    """
    import asyncio  # noqa: PLC0415

    from hookline.errors import HooklineError  # noqa: PLC0415

    webhooks = opened("migrate", database)
    try:
        asyncio.run(_check(webhooks) if check else _migrate(webhooks))
    except (HooklineError, OSError) as error:
        fail("migrate", error)


async def _check(webhooks: "Webhooks") -> None:
    schema = await webhooks.schema()
    if not schema.current:
        fail("migrate", f"not current: {schema.trouble}")
    typer.echo(f"current: {schema}")


async def _migrate(webhooks: "Webhooks") -> None:
    import asyncio  # noqa: PLC0415

    task = asyncio.create_task(_patiently(webhooks))
    done, _ = await asyncio.wait([task], timeout=PATIENCE)
    if not done:
        typer.echo("waiting: another migration is under way, or this one is a long one", err=True)
    changed = await task
    version = (await webhooks.schema()).found
    typer.echo(f"migrated to {version}" if changed else f"already at {version}")


async def _patiently(webhooks: "Webhooks") -> bool:
    """Migrate, waiting for whoever holds an SQLite file's write lock."""
    import asyncio  # noqa: PLC0415

    from hookline.errors import StorageError  # noqa: PLC0415

    while True:
        try:
            return await webhooks.migrate()
        except StorageError as error:
            if "is locked" not in str(error):
                raise
        await asyncio.sleep(LOCKED_PAUSE)
