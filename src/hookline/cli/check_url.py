"""`hookline check-url`: says whether a webhook may go there, and why not."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hookline._domain.address import Policy

BAD, BLOCKED, UNRESOLVED = 2, 1, 3


def check_url(
    url: Annotated[str, typer.Argument(metavar="URL", help="The endpoint's URL.")],
    *,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="NETWORK", help="Allow a local network too. Repeatable."),
    ] = None,
    development: Annotated[
        bool, typer.Option("--development", help="Allow this machine, as development=True does.")
    ] = False,
) -> None:
    """Explain whether webhooks may be sent to a URL, under the settings found here.

    Resolves the name, and sends nothing. Exits 0 when they may, 1 when not, 2 when the URL is
    malformed, 3 when its name leads nowhere at the moment.
    """
    from hookline._domain.address import Verdict, remedy  # noqa: PLC0415
    from hookline._domain.url import parse  # noqa: PLC0415
    from hookline._sending.guard import Unresolved, check  # noqa: PLC0415
    from hookline.errors import HooklineError  # noqa: PLC0415

    try:
        policy = _policy(allow or [], development=development)
        parsed = parse(url)
    except HooklineError as error:
        typer.echo(f"✗ {error}")
        raise typer.Exit(BAD) from None
    typer.echo(f"  {parsed}")
    way = check(parsed, policy)
    if isinstance(way, Verdict):
        typer.echo(f"✗ {way}")
        typer.echo(f"  {remedy(way)}.")
        raise typer.Exit(BLOCKED)
    if isinstance(way, Unresolved):
        typer.echo(f"? {parsed.host} cannot be resolved: {way.reason}")
        typer.echo("  It may be registered; each attempt looks again.")
        raise typer.Exit(UNRESOLVED)
    typer.echo(f"✓ allowed: {', '.join(way.addresses)}, port {parsed.port}")


def _policy(networks: list[str], *, development: bool) -> "Policy":
    """Return the policy of the settings found here, with what the options add."""
    from hookline._settings import Settings  # noqa: PLC0415

    settings = Settings.load(development=True if development else None)
    return settings.policy().widened(networks)
