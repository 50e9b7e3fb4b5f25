"""Replays and other tasks over the wire."""

from typing import Annotated, Any, Literal

from pydantic import Field

from hookline._web.api.models.wire import Channel, Names, Time, Wire

TaskKind = Literal[
    "endpoint.recover",
    "endpoint.replay",
    "endpoint.bulk-replay",
    "application.purge_content",
]


class RecoverIn(Wire):
    """From when to when to send again what failed."""

    since: Time
    until: Time | None = None


class ReplayIn(RecoverIn):
    """What to send again; `dry_run` counts, and changes nothing."""

    dry_run: bool = False
    rate: Annotated[float | None, Field(description="Deliveries per second at most.")] = None


class BulkReplayIn(ReplayIn):
    """What to send again: by event type and by where it stands."""

    event_types: Names = None
    status: Annotated[
        int | None, Field(ge=0, le=3, description="0 success, 1 pending, 2 fail; fail by default.")
    ] = None
    channel: Annotated[Channel | None, Field(description="Sent to this channel only.")] = None
    tag: Annotated[Channel | None, Field(description="With this tag only.")] = None
    status_code_class: Annotated[
        Literal[0, 100, 200, 300, 400, 500] | None,
        Field(description="Last answered so: 500 for 500 to 599, 0 for no answer."),
    ] = None


class AppReplayIn(BulkReplayIn):
    """What to send again, over all enabled endpoints of an application."""

    since: Annotated[Time | None, Field(description="Needed, unless it is one message.")] = None  # type: ignore[assignment]  # of one message, none
    missing: Annotated[bool, Field(description="Also what endpoints want today and never got.")] = (
        False
    )
    endpoint_id: Annotated[str | None, Field(description="At this endpoint only.")] = None
    message_id: Annotated[str | None, Field(description="This message only.")] = None
    states: Annotated[
        list[str] | None,
        Field(description="`exhausted`, `held`, `pending`, `succeeded`: in place of `status`."),
    ] = None


class RecoverOut(Wire):
    """A task that goes on in the background."""

    id: str
    status: str
    task: str
    updated_at: Time


class BackgroundTaskOut(Wire):
    """A task that goes on in the background. `data` says how far it got."""

    id: str
    status: Annotated[
        Literal["running", "finished", "failed"],
        Field(description="`failed` also when it was canceled; `data.state` says."),
    ]
    task: TaskKind
    updated_at: Time
    data: dict[str, Any] = Field(default_factory=dict)
