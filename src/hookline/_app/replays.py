"""Replays: sending again, as durable jobs in the background."""

import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum

from hookline._app.scope import Scope, check_verified
from hookline._domain import check, ids
from hookline._domain.delivery import DeliveryState
from hookline._domain.endpoint import Endpoint
from hookline._domain.options import MAX_RATE, MIN_RATE
from hookline._domain.page import Page, Window
from hookline._domain.replay import EVERYTHING, FAILED, PURGE, Job, Selection
from hookline._said import Said
from hookline.errors import EndpointDisabled, InvalidInput, JobNotFound

log = logging.getLogger("hookline")
MAX_JOBS = 1000


class Replays(Scope):
    """The replays of one application."""

    async def replay(
        self,
        endpoint: str | Endpoint | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        message: str | None = None,
        states: Iterable[str | DeliveryState] | None = None,
        event_types: Iterable[str | Enum] | None = None,
        missing: bool = False,
        channel: str | None = None,
        tag: str | None = None,
        status_class: int | None = None,
        rate: float | None = None,
        dry_run: bool = False,
    ) -> Job:
        """Send again what failed, as a job in the background; return it at once.

        Selected is what stands at one endpoint (id or URL), or at every enabled one, of messages
        published from `since` until before `until` (now by default), or of one `message`. `states`
        are `exhausted` and `held` unless told otherwise, `succeeded` or `pending` if you like (for
        one message: all four); `pending` are retries that wait for their time. `event_types`
        narrows it to some, `customer.*` for a family; `channel` and `tag` to messages with these,
        `status_class` to what was last answered so (500 for 500 to 599, 0 for no answer). `missing`
        adds what the endpoint wants today and never got, messages from before it existed among
        them.

        Each selected delivery is due at once, as with `resend`; `rate` makes it so many per second
        at most. `dry_run` counts, and changes nothing. Raises EndpointNotFound, EndpointDisabled,
        UnknownEventType, InvalidInput, or MessageNotFound.
        """
        check.number("rate", rate, MIN_RATE, MAX_RATE)
        key = None if endpoint is None else await self._replayable(endpoint)
        default = FAILED if message is None else EVERYTHING
        message_key = None if message is None else await self._message_key(message)
        selection = Selection(
            since=check.whole_moment("since", since),
            until=check.whole_moment("until", until),
            endpoint=key,
            message=None if message_key is None else ids.encode(ids.MESSAGE, message_key),
            states=default if states is None else _states(states),
            event_types=self._admission.catalogue.subscriptions(event_types) if event_types else (),
            missing=missing,
            channel=channel,
            tag=tag,
            status_class=status_class,
        )
        now = self._runtime.clock.now()
        self._check_log(selection, now)
        if dry_run:
            return await self._ask(lambda e, app: e.store.jobs.preview(app, selection, now))
        job = await self._ask(lambda e, app: e.replayer.add(app, selection, rate))
        log.info("Replay %s: %s", job.id, selection)
        return self._waitable(job)

    async def _replayable(self, endpoint: str | Endpoint) -> str | None:
        found = await self._found(endpoint)
        if found.disabled:
            raise EndpointDisabled(
                Said(
                    "endpoint {url} is disabled ({disabled_reason}): enable it first, with await "
                    "webhooks.enable(…), which also sends what is held",
                    url=found.url,
                    disabled_reason=found.disabled_reason,
                )
            )
        check_verified(found)
        return found.id

    def _check_log(self, selection: Selection, now: int) -> None:
        """Refuse to look for missing messages where the log is not complete any more."""
        days = self._runtime.settings.retention_attempts
        if not selection.missing or not days:
            return
        begins = datetime.fromtimestamp(now / 1000, UTC) - timedelta(days=days)
        oldest = selection.since
        if selection.message is not None:
            at = ids.milliseconds(ids.decode(ids.MESSAGE, selection.message) or b"")
            oldest = datetime.fromtimestamp(at / 1000, UTC)
        if oldest is not None and oldest < begins:
            raise InvalidInput(
                Said(
                    "missing: the log is kept for {days:g} days (retention_attempts); of what is "
                    "older than {begins:%Y-%m-%dT%H:%M:%SZ} nobody knows whether it was delivered",
                    days=days,
                    begins=begins,
                )
            )

    async def erase_all(self) -> Job:
        """Erase what all messages until now said and what was answered, as a job; return it.

        In small steps, beside sending. What still waits to be sent is not sent any more; that
        messages were sent, and when, stays known. As any job it goes on after a restart, shows
        its progress and can be canceled. What was erased is not sent again by a replay.
        """
        whole = Selection(since=datetime.fromtimestamp(0, UTC), states=EVERYTHING)
        job = await self._ask(lambda e, app: e.replayer.add(app, whole, None, PURGE))
        log.info("Erasing %s: all contents of the application", job.id)
        return self._waitable(job)

    async def job(self, job_id: str) -> Job:
        """Return a replay as it is now; raise JobNotFound."""
        key = _job_key(job_id)
        job = await self._ask(lambda e, app: e.store.jobs.get(app, key))
        return self._waitable(_found(job, job_id))

    async def jobs(self, *, limit: int = 100, before: str | None = None) -> list[Job]:
        """Return replays, newest first: `limit` of them, older than the job `before` if given.

        Those that have ended are kept for 30 days.
        """
        check.number("limit", limit, 1, MAX_JOBS)
        older_than = None if before is None else _job_key(before)
        found = await self._ask(lambda e, app: e.store.jobs.newest(app, limit, older_than))
        return [self._waitable(job) for job in found]

    async def job_page(self, window: Window | None = None) -> Page[Job]:
        """Return a part of the replays, in the order they were made unless told."""
        part = window or Window()
        found = await self._ask(lambda e, app: e.store.jobs.page(app, (), part))
        return Page([job for _, job in found.items], found.more, found.last)

    async def cancel_job(self, job_id: str) -> Job:
        """Stop a replay, unless it has ended; what it made due until now is delivered."""
        key = _job_key(job_id)
        job = await self._ask(lambda e, app: e.replayer.cancel(app, key))
        return _found(job, job_id)

    async def watch_job(self, job_id: str) -> AsyncIterator[Job]:
        """Yield a replay as it is, and again whenever it got further, until it has ended."""
        key, seen = _job_key(job_id), None
        while seen is None or not seen.state.final:
            before = seen
            change = await self._ask(lambda e, app: e.replayer.change(app, key, before))  # noqa: B023
            seen = _found(change, job_id)
            yield seen

    def _waitable(self, job: Job) -> Job:
        key = _job_key(job.id or "")

        async def wait(timeout: float) -> Job:
            ended = await self._ask(lambda e, app: e.replayer.end(app, key, timeout))
            return _found(ended, job.id or "")

        return replace(job, _wait=wait)


def _job_key(job_id: str) -> bytes:
    key = ids.decode(ids.JOB, job_id)
    if key is None:
        raise JobNotFound(Said("no job {name!r}", name=job_id))
    return key


def _found(job: Job | None, job_id: str) -> Job:
    if job is None:
        raise JobNotFound(Said("no job {name!r}", name=job_id))
    return job


def _states(states: Iterable[str | DeliveryState]) -> tuple[DeliveryState, ...]:
    if isinstance(states, str):
        raise InvalidInput(f"states: expected a list, got the single value {states!r}")
    try:
        return tuple(dict.fromkeys(DeliveryState(state) for state in states))
    except ValueError as error:
        raise InvalidInput(f"states: {error}") from None
