"""What commands need of a deployment. The façade has it; `remote.py` has it from a server."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, Unpack

from hookline import (
    Application,
    Attempted,
    AttemptOf,
    AuditEntry,
    AuditFilter,
    DeliveryState,
    DeliveryStatus,
    Endpoint,
    EndpointHealth,
    EndpointStats,
    EventType,
    Filter,
    Job,
    Message,
    Page,
    Plan,
    Receipt,
    Usage,
    Window,
)
from hookline._domain.history import Followed
from hookline._domain.options import EndpointOptions

BY_HAND = "disabled by hand"
"""The reason of an endpoint that is disabled without one."""


class Applications(Protocol):
    """The applications of a deployment."""

    async def create(
        self,
        name: str,
        *,
        uid: str | None = None,
        rate_limit: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Application:
        """Make one."""
        ...

    async def get(self, name: str) -> Application:
        """Return one, by id or uid."""
        ...

    async def page(self, window: Window | None = None) -> Page[Application]:
        """Return a part of them."""
        ...

    async def update(self, name: str, /, **changes: Any) -> Application:
        """Change what is named."""
        ...

    async def delete(self, name: str) -> None:
        """Delete one and all that is its."""
        ...


class EventTypes(Protocol):
    """The catalogue of event types."""

    async def create(
        self,
        name: str,
        description: str = "",
        *,
        schemas: Mapping[str, Any] | None = None,
        archived: bool = False,
        deprecated: bool = False,
        group_name: str | None = None,
        feature_flags: Sequence[str] = (),
    ) -> EventType:
        """Make one."""
        ...

    async def get(self, name: str) -> EventType:
        """Return one."""
        ...

    async def page(
        self, window: Window | None = None, *, archived: bool = False
    ) -> Page[EventType]:
        """Return a part of them."""
        ...

    async def update(self, name: str, /, **changes: Any) -> EventType:
        """Change what is named."""
        ...

    async def delete(self, name: str, *, expunge: bool = False) -> None:
        """Archive one, or forget it."""
        ...


class Reach(Protocol):
    """One application: its messages, endpoints, attempts and replays. As `ApplicationWebhooks`."""

    async def publish(
        self,
        event: str,
        body: bytes,
        *,
        idempotency_key: str | None = None,
        deliver_at: datetime | None = None,
        ordering_key: str | None = None,
        channels: Sequence[str] = (),
        tags: Sequence[str] = (),
        event_id: str | None = None,
        once: bytes | None = None,
    ) -> Receipt:
        """Publish a body as it is."""
        ...

    async def cancel(self, message_id: str) -> int:
        """Cancel what has not been sent of a message."""
        ...

    # endpoints

    async def endpoint(self, name: str) -> Endpoint:
        """Return one, by id, uid or URL."""
        ...

    async def endpoint_page(self, window: Window) -> Page[Endpoint]:
        """Return a part of them."""
        ...

    async def create_endpoint(
        self,
        url: str,
        events: Sequence[str] = ("*",),
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        uid: str | None = None,
        disabled: bool = False,
        **options: Unpack[EndpointOptions],
    ) -> Endpoint:
        """Make one; it comes back with its secret."""
        ...

    async def update_endpoint(
        self, endpoint: str, *, disabled: bool | None = None, **changes: Any
    ) -> Endpoint:
        """Change what is named."""
        ...

    async def delete_endpoint(self, endpoint: str) -> None:
        """Delete one and cancel what waits for it."""
        ...

    async def endpoint_health(self, endpoint: str) -> EndpointHealth:
        """Return how one is doing."""
        ...

    async def endpoint_stats(self, endpoint: str) -> EndpointStats:
        """Count how its deliveries ended in the last 28 days."""
        ...

    async def pause(self, endpoint: str) -> None:
        """Hold its deliveries for a while."""
        ...

    async def disable(self, endpoint: str, reason: str) -> None:
        """Hold its deliveries."""
        ...

    async def enable(self, endpoint: str) -> int:
        """Send again, what was held too; return how many that is."""
        ...

    async def show_secret(self, endpoint: str) -> str | None:
        """Return its secret, to show it: that is noted in the audit log."""
        ...

    async def rotate_secret(
        self,
        endpoint: str,
        secret: str | None = None,
        *,
        kind: Any = None,
        overlap: timedelta = timedelta(hours=24),
    ) -> str:
        """Give it a new secret and return that."""
        ...

    async def send_test(self, endpoint: str, event: str | None = None, data: Any = None) -> Receipt:
        """Send one event to this endpoint alone."""
        ...

    async def verify_endpoint(self, endpoint: str, *, timeout: float = 60.0) -> Endpoint:
        """Try to verify a pending one now."""
        ...

    # messages and attempts

    async def message(self, name: str) -> Message:
        """Return one, by id or event id."""
        ...

    async def messages(
        self, wanted: Filter | None = None, window: Window | None = None
    ) -> Page[Message]:
        """Return messages, the newest first."""
        ...

    def follow(
        self,
        events: Iterable[str] = ("*",),
        channels: Collection[str] = (),
        *,
        after: str | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[Followed]:
        """Yield messages as they are published, and now and then that there was none."""
        ...

    async def attempted(
        self, endpoint: str, wanted: Filter | None = None, window: Window | None = None
    ) -> Page[Attempted]:
        """Return the messages for an endpoint, and where each stands there."""
        ...

    async def destinations(self, message_id: str) -> list[tuple[Endpoint, DeliveryStatus]]:
        """Return the endpoints a message goes to, and where it stands at each."""
        ...

    async def attempt(self, message_id: str, attempt_id: str) -> AttemptOf:
        """Return one attempt."""
        ...

    async def attempts_of(
        self, message_id: str, wanted: Filter | None = None, window: Window | None = None
    ) -> Page[AttemptOf]:
        """Return the attempts made for a message."""
        ...

    async def attempts_at(
        self, endpoint: str, wanted: Filter | None = None, window: Window | None = None
    ) -> Page[AttemptOf]:
        """Return the attempts made at an endpoint."""
        ...

    async def resend(self, message_id: str, endpoint: str) -> bool:
        """Send a message to an endpoint once more."""
        ...

    async def erase(self, message_id: str) -> None:
        """Erase what a message said."""
        ...

    async def usage(self, *, since: datetime | None = None) -> list[Usage]:
        """Count messages and attempts, day by day."""
        ...

    # replays

    async def replay(
        self,
        endpoint: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        message: str | None = None,
        states: Iterable[str | DeliveryState] | None = None,
        event_types: Iterable[str] | None = None,
        missing: bool = False,
        channel: str | None = None,
        tag: str | None = None,
        status_class: int | None = None,
        rate: float | None = None,
        dry_run: bool = False,
    ) -> Job:
        """Send again what failed, as a job."""
        ...

    async def job(self, job_id: str) -> Job:
        """Return a replay."""
        ...

    async def jobs(self, *, limit: int = 100, before: str | None = None) -> list[Job]:
        """Return replays, the newest first."""
        ...

    async def cancel_job(self, job_id: str) -> Job:
        """Stop a replay."""
        ...

    def watch_job(self, job_id: str) -> AsyncIterator[Job]:
        """Yield a replay as it gets further, until it has ended."""
        ...


class Deployment(Protocol):
    """All of it. As `Webhooks`."""

    @property
    def applications(self) -> Applications:
        """Its applications."""
        ...

    @property
    def event_types(self) -> EventTypes:
        """Its event types."""
        ...

    async def for_application(self, name: str) -> Reach:
        """Return one application."""
        ...

    async def all_usage(self, *, since: datetime | None = None) -> list[Usage]:
        """Count messages and attempts of every application, day by day."""
        ...

    async def audit(
        self, wanted: AuditFilter | None = None, window: Window | None = None
    ) -> Page[AuditEntry]:
        """Return who changed what, the newest first."""
        ...

    async def export(self, *, secrets: bool = False) -> dict[str, Any]:
        """Return the configuration as one document."""
        ...

    async def plan(self, document: Mapping[str, Any], *, prune: bool = False) -> Plan:
        """Return what importing a document would change."""
        ...

    async def apply(self, plan: Plan) -> Plan:
        """Make the changes of a plan."""
        ...

    async def stop(self) -> None:
        """Leave it."""
        ...
