"""`hookline keys`: the encryption key of stored secrets, and the keys of the REST API."""

import json
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from hookline.cli._database import Database, fail, opened

if TYPE_CHECKING:
    from hookline import ApiKey, Webhooks

T = TypeVar("T")
ENCRYPTION, API = "Encryption of stored secrets", "Keys of the REST API"
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})


@app.callback()
def _keys() -> None:
    """Keys: what encrypts stored secrets, and what opens the REST API."""


@app.command(rich_help_panel=ENCRYPTION)
def generate() -> None:
    """Print a new encryption key, for HOOKLINE_ENCRYPTION_KEY.

    Keep a copy where the database's backups are not: without it, signing secrets, headers and
    client keys in the database are lost.
    """
    import os  # noqa: PLC0415

    from hookline._domain.encryption import KEY_BYTES, key_text  # noqa: PLC0415

    typer.echo(key_text(os.urandom(KEY_BYTES)))


@app.command(rich_help_panel=ENCRYPTION)
def rotate(
    *,
    database: Database = None,
    decrypt: Annotated[
        bool, typer.Option("--decrypt", help="Store everything unencrypted instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Encrypt stored secrets with the first key of HOOKLINE_ENCRYPTION_KEY.

    Takes those under older keys and those stored open. Goes on beside running workers; may be
    interrupted and run again. Afterwards the older keys are no longer needed.
    """
    webhooks = opened("keys rotate", database, deliver=False)
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=(console := Console(stderr=True)),
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("decrypting" if decrypt else "encrypting", total=None)

        def show(seen: int, total: int) -> None:
            bar.update(task, completed=seen, total=total)

        done = _run("keys rotate", webhooks.reencrypt(decrypt=decrypt, on_progress=show))
    if as_json:
        typer.echo(json.dumps(done._asdict()))
    else:
        verb = "decrypted" if decrypt else "encrypted"
        typer.echo(f"{done.written:,} {verb}" if done.written else "nothing to do")
    if done.locked:
        reason = f"{done.locked:,} could not be opened and were left: see hookline doctor"
        fail("keys rotate", reason)


@app.command(rich_help_panel=API)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    *,
    scope: Annotated[
        list[str],
        typer.Option("--scope", help="admin, read, or application:<id or uid>. Repeatable."),
    ],
    days: Annotated[
        float | None,
        typer.Option(
            "--days", min=0.001, max=36500, help="Days until it expires.", show_default="never"
        ),
    ] = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Make a key for the REST API and print its token, this once.

    hookline keys create "billing, nightly" --scope application:default --scope read --days 90
    """
    webhooks = opened("keys create", database, deliver=False)
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    made = _with(
        "keys create", webhooks, webhooks.create_api_key(name, scope, expires_at=expires_at)
    )
    if as_json:
        typer.echo(json.dumps(_document(made) | {"token": made.token}, ensure_ascii=False))
        return
    typer.echo(made.token)
    typer.echo(f"{made.id}: keep the token now, it cannot be shown again", err=True)


@app.command("list", rich_help_panel=API)
def list_(*, database: Database = None, as_json: AsJson = False) -> None:
    """List the keys of the REST API, never their tokens."""
    webhooks = opened("keys list", database, deliver=False)
    found = _with("keys list", webhooks, webhooks.api_keys())
    if as_json:
        typer.echo(json.dumps([_document(key) for key in found], indent=2, ensure_ascii=False))
        return
    if not found:
        typer.echo("no keys; make one: hookline keys create NAME --scope admin")
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console, now = Console(highlight=False), datetime.now(UTC)
    for key in found:
        dead = key.usable(now) is not None
        used = f"last used {key.last_used_at:%Y-%m-%d}" if key.last_used_at else "never used"
        name = (key.name, "dim" if dead else "bold")
        console.print(Text.assemble(name, f" · {_state(key, now)} · {used}"), soft_wrap=True)
        console.print(Text(f"  {key.id}  {' '.join(key.scopes)}", "dim"), soft_wrap=True)


@app.command(rich_help_panel=API)
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, key_…")],
    *,
    database: Database = None,
) -> None:
    """Revoke a key, at once and for ever."""
    webhooks = opened("keys revoke", database, deliver=False)
    key = _with("keys revoke", webhooks, webhooks.revoke_api_key(key_id))
    typer.echo(f"{key.id} ({key.name}) {key.usable(datetime.now(UTC))}")


def _state(key: "ApiKey", now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.usable(now):
        return "expired"
    return f"valid to {key.expires_at:%Y-%m-%d}" if key.expires_at else "valid"


def _document(key: "ApiKey") -> dict[str, Any]:
    times = {
        name: moment.isoformat() if moment else None
        for name in ("created_at", "expires_at", "last_used_at", "revoked_at")
        for moment in [getattr(key, name)]
    }
    return {"id": key.id, "name": key.name, "scopes": list(key.scopes), **times}


def _with(command: str, webhooks: "Webhooks", work: Coroutine[Any, Any, T]) -> T:
    """Do something with an engine that delivers nothing, and stop it."""

    async def whole() -> T:
        try:
            return await work
        finally:
            await webhooks.stop()

    return _run(command, whole())


def _run(command: str, work: Coroutine[Any, Any, T]) -> T:
    import asyncio  # noqa: PLC0415

    from hookline.errors import HooklineError, InvalidInput, InvalidSettings  # noqa: PLC0415

    try:
        return asyncio.run(work)
    except (InvalidInput, InvalidSettings) as error:
        fail(command, error, code=2)
    except HooklineError as error:
        fail(command, error)
