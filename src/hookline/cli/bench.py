"""`hookline bench`: how fast this machine and this database deliver."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli._database import fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookline.cli._bench.run import Figures, Progress

PUBLISHERS = 64
PACED_SECONDS = 4.0


def bench(
    *,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Measure with this database, in an application of its own that is deleted "
            "afterwards; else with a temporary SQLite file.",
        ),
    ] = None,
    messages: Annotated[
        int, typer.Option("--messages", "-n", help="How many to publish.", min=10, max=1_000_000)
    ] = 2000,
    size: Annotated[
        int, typer.Option(help="Bytes of each payload, about.", min=1, max=1_000_000)
    ] = 1000,
    rate: Annotated[
        float,
        typer.Option(help="Messages per second of the second part.", min=1, max=10_000),
    ] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Publish messages to a receiver on this machine, and say how fast they arrive.

    First as many as go, which gives the throughput; then a few seconds at a pace that leaves room,
    which gives the latency an event has in ordinary times. Everything is real: stored, signed, sent
    over HTTP, recorded. The receiver is on this machine too and takes its share of it.

    hookline bench --messages 5000
    """
    import asyncio  # noqa: PLC0415
    import logging  # noqa: PLC0415

    from hookline.cli._bench.run import Plan, run  # noqa: PLC0415
    from hookline.errors import HooklineError, InvalidSettings  # noqa: PLC0415

    log = logging.getLogger("hookline")
    level = log.level
    log.setLevel(logging.CRITICAL)
    plan = Plan(messages, size, PUBLISHERS, rate, max(20, round(rate * PACED_SECONDS)))
    show, end = _progress()
    try:
        figures = asyncio.run(run(database, plan, show))
    except InvalidSettings as error:
        fail("bench", error, code=2)
    except HooklineError as error:
        fail("bench", error)
    finally:
        end()
        log.setLevel(level)
    if as_json:
        typer.echo(json.dumps(asdict(figures), indent=2))
    else:
        _print(figures)


def _progress() -> "tuple[Progress, Callable[[], None]]":
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
    )

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        refresh_per_second=4,  # what it takes is taken from what is measured
        disable=not console.is_terminal,
    )
    bar.start()
    task = bar.add_task("starting", total=None)

    def show(what: str, done: int, total: int) -> None:
        bar.update(task, description=what, completed=done, total=total)

    return show, bar.stop


def _print(figures: "Figures") -> None:
    from hookline.cli._show.out import Out  # noqa: PLC0415

    out, f, machine = Out(as_json=False), figures, figures.machine
    place = f"{machine['cores']} cores, load {machine['load_before']:g} before"
    out.facts(
        [
            ("published", f"{f.published_per_second:,.0f} per second"),
            ("delivered", f"{f.delivered_per_second:,.0f} per second"),
            ("  latency", f"p50 {f.full_load_p50_ms:,.0f} ms, p99 {f.full_load_p99_ms:,.0f} ms"),
            ("at a pace", f"{f.paced_per_second:g} per second"),
            ("  latency", f"p50 {f.paced_p50_ms:,.1f} ms, p99 {f.paced_p99_ms:,.1f} ms"),
            ("messages", f"{f.messages:,} of about {f.payload_bytes:,} bytes"),
            ("database", f.database),
            ("machine", f"{place}, Python {machine['python']}, {machine['system']}"),
        ]
    )
    out.line()
    out.line(
        ("Latency is from the call that publishes to the arrival; under full load it is", "dim")
    )
    out.line(
        ("mostly waiting in line. The receiver ran on this machine and took its share.", "dim")
    )
    if machine["busy"]:
        out.note(
            f"the machine was busy before (load {machine['load_before']:g} on "
            f"{machine['cores']} cores): the figures are too low"
        )
