"""A deployment reached through its server's REST API, with the face of the façade."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar, Unpack

import orjson

from hookline import (
    Application,
    Attempted,
    AttemptOf,
    AuditEntry,
    AuditFilter,
    Cursor,
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
    generate_secret,
)
from hookline._domain import ids, url
from hookline._domain.history import Followed
from hookline._domain.options import EndpointOptions
from hookline._domain.page import MAX_LIMIT
from hookline._engine.receipt import unfinished
from hookline.cli._reach import stream, wire
from hookline.cli._reach.aside import aside
from hookline.cli._reach.http import TIMEOUT, Client, Refused, part
from hookline.cli._reach.protocol import BY_HAND
from hookline.errors import (
    DeliveryTimeout,
    EndpointNotFound,
    HooklineError,
    InvalidUrl,
    PlanOutdated,
)

T = TypeVar("T")
LOOK = 0.5
"""Seconds between looks at something that goes on."""
LONG = 600.0
"""Seconds until a server counts as silent that works on a whole configuration."""
ROUTED = 5.0
"""Seconds after which a message that goes nowhere counts as wanted by nobody."""
SILENT = 40.0
"""Seconds after which a stream that says nothing is broken."""
PING = "svix.ping"
NOT_FOUND = 404


class NotOffered(HooklineError):
    """The REST API has no way to do it."""

    def __init__(self, what: str) -> None:
        """`what` cannot be done."""
        super().__init__(f"{what}: not over a server; run it on its machine, with --database")


class _Asking:
    def __init__(self, client: Client, base: str) -> None:
        self.client = client
        self._base = base

    async def ask(
        self,
        method: str,
        path: str = "",
        body: Any = None,
        query: Any = (),
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> Any:
        """Return the document that a request is answered with; see `Client.ask`."""
        ask = self.client.ask
        return await aside(ask, method, self._base + path, query, body, headers, timeout)

    async def _page(
        self,
        path: str,
        window: Window | None,
        prefix: str | None,
        make: Callable[[Any], T],
        query: Sequence[tuple[str, Any]] = (),
    ) -> Page[T]:
        """Return a part of a list; those that are always newest first have no order."""
        part_ = window or Window()
        found = await self.ask("GET", path, query=[*_where(part_, prefix), *query])
        last = found["iterator"]
        key = ids.decode(prefix, last) if prefix is not None and last else last
        return Page([make(each) for each in found["data"]], not found["done"], key)

    async def _whole(self, path: str, prefix: str, make: Callable[[Any], T]) -> AsyncIterator[T]:
        """Yield a list to its end, whatever its length."""
        cursor: Cursor | None = None
        while True:
            page = await self._page(path, Window(MAX_LIMIT, cursor), prefix, make)
            for each in page.items:
                yield each
            if not page.more or page.last is None:
                return
            cursor = Cursor(page.last)


class Remote(_Asking):
    """All of a deployment. As `Webhooks`, for the commands."""

    def __init__(self, server: str, key: str | None) -> None:
        """Raises InvalidSettings for what is no server, or without a key."""
        super().__init__(Client(server, key), "")
        self.applications = RemoteApplications(self.client)
        self.event_types = RemoteEventTypes(self.client)

    async def for_application(self, name: str) -> "RemoteApplication":
        """Return one application; that it is there, the first question to it tells."""
        return RemoteApplication(self.client, name)

    async def all_usage(self, *, since: datetime | None = None) -> list[Usage]:
        """Count messages and attempts of every application, day by day."""
        found = await self.ask("GET", "/usage", query=[("since", wire.rfc3339(since))])
        return [wire.usage(each) for each in found["data"]]

    async def audit(
        self, wanted: AuditFilter | None = None, window: Window | None = None
    ) -> Page[AuditEntry]:
        """Return who changed what, the newest first."""
        which = wanted or AuditFilter()
        query = [
            ("app_id", which.application),
            ("action", which.action),
            ("actor", which.actor),
            ("target", which.target),
            ("before", wire.rfc3339(which.before)),
            ("after", wire.rfc3339(which.after)),
        ]
        return await self._page("/audit", window, ids.AUDIT, wire.audited, query)

    async def export(self, *, secrets: bool = False) -> dict[str, Any]:
        """Return the configuration as one document."""
        found: dict[str, Any] = await self.ask(
            "GET", "/export", query=[("secrets", _flag(secrets))], timeout=LONG
        )
        return found

    async def plan(self, document: Mapping[str, Any], *, prune: bool = False) -> Plan:
        """Return what importing a document would change."""
        query = [("dry_run", "true"), ("prune", _flag(prune))]
        found = await self.ask("POST", "/import", document, query, timeout=LONG)
        return wire.plan(found, document, prune=prune)

    async def apply(self, plan: Plan) -> Plan:
        """Make the changes of a plan. Raises PlanOutdated when they are others by now."""
        if (await self.plan(plan.source, prune=plan.prune)).changes != plan.changes:
            raise PlanOutdated("things have changed since the plan was made: look at a new one")
        query = [("prune", _flag(plan.prune))]
        await self.ask("POST", "/import", plan.source, query, timeout=LONG)
        return plan

    async def stop(self) -> None:
        """Nothing is open."""


def _where(window: Window, prefix: str | None) -> list[tuple[str, Any]]:
    cursor = window.cursor
    iterator = None
    if cursor is not None:
        item = cursor.item
        text = ids.encode(prefix or "", item) if isinstance(item, bytes) else item
        iterator = f"-{text}" if cursor.backwards else text
    return [("limit", window.limit), ("iterator", iterator)]


class RemoteApplications(_Asking):
    """The applications."""

    def __init__(self, client: Client) -> None:
        """Ask this server."""
        super().__init__(client, "/app")

    async def create(
        self,
        name: str,
        *,
        uid: str | None = None,
        rate_limit: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Application:
        """Make one."""
        values = {"name": name, "uid": uid, "rate_limit": rate_limit, "metadata": metadata or {}}
        return wire.application(await self.ask("POST", "", wire.fields(values)))

    async def get(self, name: str) -> Application:
        """Return one."""
        return wire.application(await self.ask("GET", f"/{part(name)}"))

    async def page(self, window: Window | None = None) -> Page[Application]:
        """Return a part of them."""
        return await self._page("", window, ids.APPLICATION, wire.application)

    async def update(self, name: str, /, **changes: Any) -> Application:
        """Change what is named."""
        return wire.application(await self.ask("PATCH", f"/{part(name)}", wire.fields(changes)))

    async def delete(self, name: str) -> None:
        """Delete one."""
        await self.ask("DELETE", f"/{part(name)}")


class RemoteEventTypes(_Asking):
    """The catalogue."""

    def __init__(self, client: Client) -> None:
        """Ask this server."""
        super().__init__(client, "/event-type")

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
        values = {
            "name": name,
            "description": description,
            "schemas": schemas,
            "archived": archived,
            "deprecated": deprecated,
            "group_name": group_name,
            "feature_flags": list(feature_flags) or None,
        }
        return wire.event_type(await self.ask("POST", "", wire.fields(values)))

    async def get(self, name: str) -> EventType:
        """Return one."""
        return wire.event_type(await self.ask("GET", f"/{part(name)}"))

    async def page(
        self, window: Window | None = None, *, archived: bool = False
    ) -> Page[EventType]:
        """Return a part of them."""
        query = [("include_archived", _flag(archived)), ("with_content", "true")]
        return await self._page("", window, None, wire.event_type, query)

    async def update(self, name: str, /, **changes: Any) -> EventType:
        """Change what is named."""
        return wire.event_type(await self.ask("PATCH", f"/{part(name)}", wire.fields(changes)))

    async def delete(self, name: str, *, expunge: bool = False) -> None:
        """Archive one, or forget it."""
        await self.ask("DELETE", f"/{part(name)}", query=[("expunge", _flag(expunge))])


def _flag(value: bool) -> str:
    return "true" if value else "false"


class RemoteApplication(_Asking):
    """One application. As `ApplicationWebhooks`, for the commands."""

    def __init__(self, client: Client, name: str) -> None:
        """`name` is its id or uid."""
        super().__init__(client, f"/app/{part(name)}")
        self.name = name
        self._tasks = _Asking(client, "/background-task")

    # publishing ----------------------------------------------------------------------------

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
        once: bytes | None = None,  # noqa: ARG002 - a server judges repeats by their bodies
    ) -> Receipt:
        """Publish a body as it is: its bytes are not touched."""
        fields = {
            "eventType": event,
            "eventId": event_id,
            "channels": list(channels) or None,
            "tags": list(tags) or None,
            "deliverAt": wire.rfc3339(deliver_at),
            "orderingKey": ordering_key,
            "payload": orjson.Fragment(body),
        }
        document = orjson.dumps({n: v for n, v in fields.items() if v is not None})
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        try:
            made = await self.ask("POST", "/msg", document, [("with_content", "false")], headers)
        except Refused as error:
            if error.status != 409 or idempotency_key is None:  # noqa: PLR2004
                raise
            raise Refused(
                f"{error}; over a server a repeat must be the same, its time included: give "
                "--timestamp",
                error.status,
            ) from None
        return self._receipt(made)

    def _receipt(self, made: Mapping[str, Any]) -> Receipt:
        now = asyncio.get_running_loop().time
        name, published = made["id"], now()

        async def wait(timeout: float) -> list[DeliveryStatus]:
            deadline = now() + timeout
            while True:
                found = [status for _, status in await self.destinations(name)]
                # A server does not tell a message that nobody wants from one not routed yet.
                if all(each.state.final for each in found) and (
                    found or now() > published + ROUTED
                ):
                    return found
                if now() >= deadline:
                    raise DeliveryTimeout(unfinished(name, timeout, found or None))
                await asyncio.sleep(LOOK)

        return Receipt(name, made["eventType"], duplicate=False, _delivered=wait)

    async def cancel(self, message_id: str) -> int:
        """Cancel what has not been sent."""
        found = await self.ask("POST", f"/msg/{part(message_id)}/cancel")
        return int(found["canceled"])

    # endpoints -----------------------------------------------------------------------------

    async def endpoint(self, name: str) -> Endpoint:
        """Return one, by id, uid or URL."""
        if "://" not in name:
            return wire.endpoint(await self.ask("GET", f"/endpoint/{part(name)}"))
        names = {name}
        with suppress(InvalidUrl):
            names.add(str(url.parse(name)))  # as it is stored
        async for each in self._whole("/endpoint", ids.ENDPOINT, wire.endpoint):
            if each.url in names:
                return each
        raise EndpointNotFound(f"no endpoint {name!r}")

    async def _own(self, name: str) -> str:
        """Return the path of an endpoint."""
        if "://" in name:
            name = (await self.endpoint(name)).id or name
        return f"/endpoint/{part(name)}"

    async def endpoint_page(self, window: Window) -> Page[Endpoint]:
        """Return a part of them."""
        return await self._page("/endpoint", window, ids.ENDPOINT, wire.endpoint)

    async def show_secret(self, endpoint: str) -> str | None:
        """Return its secret."""
        try:
            return str((await self.ask("GET", f"{await self._own(endpoint)}/secret"))["key"])
        except Refused as error:
            if error.status != NOT_FOUND or "has no secret" not in str(error):
                raise
            return None

    async def headers(self, found: Endpoint) -> dict[str, str]:
        """Return the headers of an endpoint; sensitive ones the server masks."""
        told = await self.ask("GET", f"/endpoint/{part(found.id or '')}/headers")
        return {**told["headers"], **dict.fromkeys(told["sensitive"], "***")}

    async def change_headers(
        self, found: Endpoint, new: Mapping[str, str], gone: Iterable[str]
    ) -> None:
        """Set some headers of an endpoint and take others away."""
        body = {"headers": dict(new), "deleteHeaders": list(gone)}
        await self.ask("PATCH", f"/endpoint/{part(found.id or '')}/headers", body)

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
        """Make one, and ask for its secret."""
        values = {"url": url, "events": list(events), "uid": uid, "disabled": disabled, **options}
        body = wire.endpoint_body(values)
        body |= {"secret": secret, "headers": dict(headers or {}) or None}
        made = wire.endpoint(await self.ask("POST", "/endpoint", body))
        own = await self.show_secret(made.id or "")
        return replace(made, secret=own, headers=await self.headers(made))

    async def update_endpoint(
        self, endpoint: str, *, disabled: bool | None = None, **changes: Any
    ) -> Endpoint:
        """Change what is named."""
        if disabled is not None:
            changes["disabled"] = disabled
        body = wire.endpoint_body(changes)
        return wire.endpoint(await self.ask("PATCH", await self._own(endpoint), body))

    async def delete_endpoint(self, endpoint: str) -> None:
        """Delete one."""
        await self.ask("DELETE", await self._own(endpoint))

    async def endpoint_health(self, endpoint: str) -> EndpointHealth:
        """Return how one is doing."""
        return wire.health(await self.ask("GET", f"{await self._own(endpoint)}/health"))

    async def endpoint_stats(self, endpoint: str) -> EndpointStats:
        """Count how its deliveries ended."""
        return wire.stats(await self.ask("GET", f"{await self._own(endpoint)}/stats"))

    async def pause(self, endpoint: str) -> None:
        """Hold its deliveries for a while."""
        await self.ask("POST", f"{await self._own(endpoint)}/pause")

    async def disable(self, endpoint: str, reason: str) -> None:
        """Hold its deliveries; the server has a reason of its own."""
        if reason != BY_HAND:
            raise NotOffered("a reason of your own")
        await self.update_endpoint(endpoint, disabled=True)

    async def enable(self, endpoint: str) -> int:
        """Send to it again."""
        found = await self.ask("POST", f"{await self._own(endpoint)}/resume")
        return int(found["released"])

    async def rotate_secret(
        self,
        endpoint: str,
        secret: str | None = None,
        *,
        kind: Any = None,
        overlap: timedelta = timedelta(hours=24),
    ) -> str:
        """Give it a new secret."""
        if secret is None and kind is not None:
            secret = generate_secret(kind)
        body = {"key": secret, "gracePeriodSeconds": round(overlap.total_seconds())}
        found = await self.ask("POST", f"{await self._own(endpoint)}/secret/rotate", body)
        return str(found["key"])

    async def send_test(self, endpoint: str, event: str | None = None, data: Any = None) -> Receipt:
        """Send it an example."""
        if data is not None:
            raise NotOffered("data of your own in a test")
        body = {"eventType": event or PING}
        return self._receipt(
            await self.ask("POST", f"{await self._own(endpoint)}/send-example", body)
        )

    async def verify_endpoint(self, endpoint: str, *, timeout: float = 60.0) -> Endpoint:  # noqa: ARG002
        """Is not offered."""
        raise NotOffered("verifying an endpoint")

    # messages and attempts -----------------------------------------------------------------

    async def message(self, name: str) -> Message:
        """Return one."""
        return wire.message(await self.ask("GET", f"/msg/{part(name)}"))

    async def messages(
        self, wanted: Filter | None = None, window: Window | None = None
    ) -> Page[Message]:
        """Return messages, the newest first."""
        query = [*_filter(wanted or Filter()), ("with_content", "false")]
        return await self._page("/msg", window, ids.MESSAGE, wire.message, query)

    async def follow(
        self,
        events: Iterable[str] = ("*",),
        channels: Collection[str] = (),
        *,
        after: str | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[Followed]:
        """Yield messages as they are published, until the server ends the stream."""
        query: list[tuple[str, Any]] = [("event_types", event) for event in events]
        query += [("channel", channel) for channel in channels]
        query += [("since", wire.rfc3339(since))] if since is not None else []
        headers = {} if after is None else {"Last-Event-ID": after}
        open_ = self.client.open
        answer = await aside(open_, "GET", f"{self._base}/listen", query, None, headers, SILENT)
        async for kind, name, text in stream.events(answer):
            if kind == "message":
                found = orjson.loads(text)
                message = wire.message({**found, "payload": None})
                body = found["body"].encode()
                yield Followed([replace(message, body=body)], name)
            else:
                yield Followed([], name)

    async def attempted(
        self, endpoint: str, wanted: Filter | None = None, window: Window | None = None
    ) -> Page[Attempted]:
        """Return the messages for an endpoint."""
        which = wanted or Filter()
        if which.text is not None:
            raise NotOffered("looking for text at one endpoint")
        path = f"{await self._own(endpoint)}/msg"
        query = [*_filter(which), ("with_content", "false")]
        query += [("state", each.value) for each in which.states]
        return await self._page(path, window, ids.MESSAGE, wire.attempted, query)

    async def destinations(self, message_id: str) -> list[tuple[Endpoint, DeliveryStatus]]:
        """Return where a message stands at each endpoint."""
        path = f"/msg/{part(message_id)}/endpoint"
        return [each async for each in self._whole(path, ids.ENDPOINT, wire.delivery)]

    async def attempt(self, message_id: str, attempt_id: str) -> AttemptOf:
        """Return one attempt."""
        path = f"/msg/{part(message_id)}/attempt/{part(attempt_id)}"
        return wire.attempt(await self.ask("GET", path))

    async def attempts_of(
        self, message_id: str, wanted: Filter | None = None, window: Window | None = None
    ) -> Page[AttemptOf]:
        """Return the attempts made for a message."""
        which = wanted or Filter()
        query = [*_attempts(which), ("with_content", "false")]
        if which.endpoint is not None:
            query.append(("endpoint_id", ids.encode(ids.ENDPOINT, which.endpoint)))
        path = f"/attempt/msg/{part(message_id)}"
        return await self._page(path, window, ids.ATTEMPT, wire.attempt, query)

    async def attempts_at(
        self, endpoint: str, wanted: Filter | None = None, window: Window | None = None
    ) -> Page[AttemptOf]:
        """Return the attempts made at an endpoint."""
        query = [*_attempts(wanted or Filter()), ("with_content", "false"), ("with_msg", "true")]
        path = f"/attempt{await self._own(endpoint)}"
        return await self._page(path, window, ids.ATTEMPT, wire.attempt, query)

    async def resend(self, message_id: str, endpoint: str) -> bool:
        """Send a message to an endpoint once more."""
        await self.ask("POST", f"/msg/{part(message_id)}{await self._own(endpoint)}/resend")
        return True

    async def erase(self, message_id: str) -> None:
        """Erase what a message said."""
        await self.ask("DELETE", f"/msg/{part(message_id)}/content")

    async def usage(self, *, since: datetime | None = None) -> list[Usage]:
        """Count messages and attempts, day by day."""
        found = await self.ask("GET", "/usage", query=[("since", wire.rfc3339(since))])
        return [wire.usage(each) for each in found["data"]]

    # replays -------------------------------------------------------------------------------

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
        if endpoint is not None and "://" in endpoint:
            endpoint = (await self.endpoint(endpoint)).id
        body = {
            "endpointId": endpoint,
            "since": wire.rfc3339(since),
            "until": wire.rfc3339(until),
            "messageId": message,
            "states": None if states is None else [str(each) for each in states],
            "eventTypes": list(event_types) if event_types else None,
            "missing": missing,
            "channel": channel,
            "tag": tag,
            "statusCodeClass": status_class,
            "rate": rate,
            "dryRun": dry_run,
        }
        given = {name: value for name, value in body.items() if value is not None}
        return wire.job(await self.ask("POST", "/replay", given))

    async def job(self, job_id: str) -> Job:
        """Return a replay."""
        return wire.job(await self._tasks.ask("GET", f"/{part(job_id)}"))

    async def jobs(self, *, limit: int = 100, before: str | None = None) -> list[Job]:
        """Return replays, the newest first."""
        query = [("limit", limit), ("iterator", before)]
        found = await self.ask("GET", "/background-task", query=query)
        return [wire.job(each) for each in found["data"]]

    async def cancel_job(self, job_id: str) -> Job:
        """Stop a replay."""
        return wire.job(await self._tasks.ask("POST", f"/{part(job_id)}/cancel"))

    async def watch_job(self, job_id: str) -> AsyncIterator[Job]:
        """Yield a replay as it gets further, until it has ended."""
        while True:
            found = await self.job(job_id)
            yield found
            if found.state.final:
                return
            await asyncio.sleep(LOOK)


def _filter(wanted: Filter) -> list[tuple[str, Any]]:
    return [
        ("event_types", ",".join(wanted.event_types) or None),
        ("channel", wanted.channel),
        ("tag", wanted.tag),
        ("before", wire.rfc3339(wanted.before)),
        ("after", wire.rfc3339(wanted.after)),
        ("text", wanted.text),
    ]


def _attempts(wanted: Filter) -> list[tuple[str, Any]]:
    ended = None if wanted.succeeded is None else 0 if wanted.succeeded else 2
    return [*_filter(wanted), ("status", ended), ("status_code_class", wanted.status_class)]
