"""`hookline replay`: send again what failed, as a job."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli._command import Ask, Deliver, command, confirm
from hookline.cli._filters import Channel, StatusClass, Tag, states
from hookline.cli._lists import After, Limit, read
from hookline.cli._values import past

if TYPE_CHECKING:
    from hookline import Job, Page, Window
    from hookline.cli._reach.protocol import Reach

app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
MANY = 10_000
"""Deliveries that are not sent again without asking."""

Id = Annotated[str, typer.Argument(metavar="ID", help="The replay's id, job_…")]
Time = typer.Option(
    parser=past,
    metavar="TIME",
    help="Published from then on: 2h or 7d ago, 2025-10-17, 2025-10-17T10:30 (local; Z for UTC).",
    show_default=False,
)
Until = typer.Option(
    parser=past, metavar="TIME", help="Published before then, else now.", show_default=False
)


@app.callback()
def _replay() -> None:
    """Replay: send again what failed, is held, or was missed; a job in the background."""


@app.command()
@command()
async def start(
    ask: Ask,
    *,
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="ID", help="At this endpoint, else at every enabled one."),
    ] = None,
    since: Annotated[datetime | None, Time] = None,
    until: Annotated[datetime | None, Until] = None,
    message: Annotated[str | None, typer.Option(metavar="ID", help="This message only.")] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            help="exhausted, held, pending, succeeded. Repeatable; the first two unless told.",
        ),
    ] = None,
    events: Annotated[
        list[str] | None,
        typer.Option("--event", help="Of this event type, or customer.*. Repeatable."),
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Also what it wants today and never got.")
    ] = False,
    channel: Channel = None,
    tag: Tag = None,
    status_class: StatusClass = None,
    rate: Annotated[float | None, typer.Option(help="At most so many per second.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and change nothing.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Do not wait until all is due.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help=f"Do not ask above {MANY:,} deliveries.")
    ] = False,
    deliver: Deliver = False,
) -> None:
    """Send again what failed; watches until everything is due, Ctrl-C leaves it going on.

    hookline replay start --endpoint acme-crm --since 2h --dry-run
    """
    chosen = states(state) if state else None
    reach = await ask.app()

    async def go(*, dry: bool) -> "Job":
        return await reach.replay(
            endpoint,
            since=since,
            until=until,
            message=message,
            states=chosen,
            event_types=events,
            missing=missing,
            channel=channel,
            tag=tag,
            status_class=status_class,
            rate=rate,
            dry_run=dry,
        )

    if dry_run:
        _tell_count(ask, await go(dry=True))
        return
    if not yes:
        count = (await go(dry=True)).total
        if count > MANY:
            confirm(f"Send {count:,} deliveries again?", yes=False)
    job = await go(dry=False)
    if not deliver:
        await ask.warn_if_idle()
    if not detach:
        job = await _watch(ask, reach, job.id or "")
    _show(ask, job)
    if job.state == "failed":
        raise typer.Exit(1)


def _tell_count(ask: Ask, counted: "Job") -> None:
    from hookline.cli._show import documents  # noqa: PLC0415

    if ask.out.as_json:
        ask.out.document(documents.job(counted))
        return
    number = f"{counted.total:,} {'delivery' if counted.total == 1 else 'deliveries'}"
    ask.out.line(f"{number}: ", (str(counted.selection), "dim"))
    ask.out.note("a dry run: nothing was changed")


async def _watch(ask: Ask, reach: "Reach", job_id: str) -> "Job":
    """Return a replay when it has ended; draw how far it is meanwhile."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not ask.out.watched,
    )
    job: Job | None = None
    with bar:
        task = bar.add_task(job_id, total=None)
        async for job in reach.watch_job(job_id):
            total = max(job.total, job.done) if job.counted else None
            bar.update(task, completed=job.done, total=total)
    return job if job is not None else await reach.job(job_id)


@app.command()
@command()
async def show(ask: Ask, job_id: Id) -> None:
    """Show a replay: what it selects, and how far it is."""
    _show(ask, await (await ask.app()).job(job_id))


@app.command()
@command()
async def watch(ask: Ask, job_id: Id) -> None:
    """Watch a replay until it has ended."""
    job = await _watch(ask, await ask.app(), job_id)
    _show(ask, job)
    if job.state == "failed":
        raise typer.Exit(1)


@app.command("list")
@command()
async def list_(
    ask: Ask,
    *,
    limit: Limit = 20,
    after: After = None,
) -> None:
    """List the replays of the last 30 days, the newest first."""
    from hookline import Page  # noqa: PLC0415
    from hookline._domain import ids  # noqa: PLC0415
    from hookline.cli._show import documents  # noqa: PLC0415
    from hookline.cli._show.out import state  # noqa: PLC0415

    reach, out = await ask.app(), ask.out

    async def page(window: "Window") -> "Page[Job]":
        item = None if window.cursor is None else window.cursor.item
        before = ids.encode(ids.JOB, item) if isinstance(item, bytes) else None
        jobs = await reach.jobs(limit=window.limit, before=before)
        return Page(jobs, len(jobs) == window.limit)

    found = await read(page, ids.JOB, limit, after)
    if out.as_json:
        shown = [documents.job(each) for each in found.items]
        out.document({"replays": shown, "more_from": found.more_from})
        return
    out.table(
        ("ID", "STATE", "DONE", "STARTED", "WHAT"),
        [
            [
                job.id or "",
                state(job.state.value),
                _done(job),
                out.when(job.created_at),
                str(job.selection),
            ]
            for job in found.items
        ],
        below=("STARTED", "WHAT"),
    )
    found.tell(out, "none; start one: hookline replay start --since 2h --dry-run")


@app.command()
@command()
async def cancel(ask: Ask, job_id: Id) -> None:
    """Stop a replay; what it made due until now is delivered."""
    _show(ask, await (await ask.app()).cancel_job(job_id))


def _done(job: "Job") -> str:
    return f"{job.done:,} of {job.total:,}{'' if job.counted else '+'}"


def _show(ask: Ask, job: "Job") -> None:
    from hookline.cli._show import documents  # noqa: PLC0415
    from hookline.cli._show.out import state  # noqa: PLC0415

    out = ask.out
    if out.as_json:
        out.document(documents.job(job))
        return
    out.facts(
        [
            ("id", job.id or ""),
            ("state", state(job.state.value)),
            ("because", job.reason or ""),
            ("made due", _done(job)),
            ("what", str(job.selection)),
            ("rate", f"{job.rate:g} per second" if job.rate else ""),
            ("started", out.when(job.created_at)),
            ("updated", out.when(job.updated_at)),
        ]
    )
