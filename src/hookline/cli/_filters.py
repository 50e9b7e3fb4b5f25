"""What lists of messages and attempts are narrowed by."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli._values import past

if TYPE_CHECKING:
    from hookline import DeliveryState, Filter

Events = Annotated[
    list[str] | None, typer.Option("--event", help="Of this event type. Repeatable.")
]
Channel = Annotated[str | None, typer.Option(help="Sent to this channel.")]
Tag = Annotated[str | None, typer.Option(help="With this tag.")]
Text = Annotated[str | None, typer.Option(help="With this text in the payload.")]
Since = Annotated[
    datetime | None,
    typer.Option(
        parser=past,
        metavar="TIME",
        help="After this time: 2h or 7d ago, 2025-10-17, or 2025-10-17T10:30 (local; Z for UTC).",
        show_default=False,
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(parser=past, metavar="TIME", help="Before this time.", show_default=False),
]
Succeeded = Annotated[
    bool | None,
    typer.Option("--succeeded/--failed", help="Only these, or only those.", show_default=False),
]
StatusClass = Annotated[
    int | None,
    typer.Option(
        "--status",
        metavar="CLASS",
        help="Answered so: 200, 300, 400, 500; 0 for not at all.",
        show_default=False,
    ),
]
CLASSES = (0, 100, 200, 300, 400, 500)


def wanted(
    events: list[str] | None = None,
    *,
    channel: str | None = None,
    tag: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    text: str | None = None,
    succeeded: bool | None = None,
    status_class: int | None = None,
    endpoint: bytes | None = None,
    state: str | None = None,
) -> "Filter":
    """Return the filter that the options make."""
    from hookline import Filter  # noqa: PLC0415

    if status_class is not None and status_class not in CLASSES:
        raise typer.BadParameter(
            f"{status_class} is no class; write one of {', '.join(map(str, CLASSES))}",
            param_hint="--status",
        )
    return Filter(
        event_types=tuple(events or ()),
        channel=channel,
        tag=tag,
        before=until,
        after=since,
        succeeded=succeeded,
        status_class=status_class,
        endpoint=endpoint,
        text=text,
        states=() if state is None else states([state]),
    )


def states(names: list[str]) -> "tuple[DeliveryState, ...]":
    """Return the states of that name."""
    from hookline import DeliveryState  # noqa: PLC0415

    for name in names:
        if name not in set(DeliveryState):
            raise typer.BadParameter(
                f"{name!r} is no state; write one of {', '.join(DeliveryState)}",
                param_hint="--state",
            )
    return tuple(map(DeliveryState, names))
