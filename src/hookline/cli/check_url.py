"""`hookline check-url`: says whether a webhook may go there, and why not."""

from typing import Annotated

import typer

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
    from hookline._sending.guard import Unresolved, check, delegated  # noqa: PLC0415
    from hookline._settings import Settings  # noqa: PLC0415
    from hookline.errors import HooklineError  # noqa: PLC0415

    try:
        settings = Settings.load(development=True if development else None)
        policy, proxy = settings.policy().widened(allow or []), settings.proxying().default
        parsed = parse(url)
    except HooklineError as error:
        typer.echo(f"✗ {error}")
        raise typer.Exit(BAD) from None
    typer.echo(f"  {parsed}")
    if proxy is not None:
        typer.echo(f"  through the proxy {proxy}{', which resolves it' * proxy.resolves}")
    by_proxy = proxy is not None and proxy.resolves
    way = delegated(parsed, policy) if by_proxy else check(parsed, policy)
    if isinstance(way, Verdict):
        typer.echo(f"✗ {way}")
        typer.echo(f"  {remedy(way)}.")
        raise typer.Exit(BLOCKED)
    if isinstance(way, Unresolved):
        typer.echo(f"? {parsed.host} cannot be resolved: {way.reason}")
        typer.echo("  It may be registered; each attempt looks again.")
        raise typer.Exit(UNRESOLVED)
    typer.echo(f"✓ allowed: {', '.join(way.addresses)}, port {parsed.port}")
