"""Replays: tasks that go on in the background."""

from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request

from hookline import ApiKey, ApplicationWebhooks, DeliveryState, Job, JobState, Page, Window
from hookline._domain import ids
from hookline._domain.replay import EVERYTHING, Selection
from hookline._domain.replay import PURGE as ERASE
from hookline._domain.times import rfc3339
from hookline._web import errors
from hookline._web.answers import Answer
from hookline._web.api.callers import Caller, Reader, Reading, Writing, facade
from hookline._web.api.endpoints import EndpointId
from hookline._web.api.lists import Paged, listed
from hookline._web.api.messages import STATES
from hookline._web.api.models.tasks import (
    AppReplayIn,
    BackgroundTaskOut,
    BulkReplayIn,
    RecoverIn,
    RecoverOut,
    ReplayIn,
    TaskKind,
)
from hookline._web.api.models.wire import Listed
from hookline._web.api.routes import Router, errors_of

router = Router("Background tasks")
paged = Paged(ids.JOB)
paged_newest = Paged(ids.JOB, orderable=False, descending=True)
PURGE: TaskKind = "application.purge_content"
TaskId = Annotated[str, Path(description="The task's id.", max_length=256)]
ACCEPTED: dict[str, Any] = {"status_code": 202, "response_model": BackgroundTaskOut}


class TaskStatus(StrEnum):
    """Where a task stands, in the words that the clients know: a canceled one has failed."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


_STATES = {
    TaskStatus.RUNNING: (JobState.QUEUED, JobState.RUNNING),
    TaskStatus.FINISHED: (JobState.FINISHED,),
    TaskStatus.FAILED: (JobState.FAILED, JobState.CANCELED),
}


def shown(job: Job) -> BackgroundTaskOut:
    """Return a replay as it is answered. A dry run has no id, and is finished."""
    status = next(status for status, states in _STATES.items() if job.state in states)
    return BackgroundTaskOut(
        id=job.id or "",
        status=status.value,
        task=_task(job),
        updated_at=job.updated_at,
        data=_erasing(job) if job.task == ERASE else _replaying(job),
    )


def _erasing(job: Job) -> dict[str, Any]:
    return {"state": job.state.value, "messagesPurged": job.done, "reason": job.reason}


def _replaying(job: Job) -> dict[str, Any]:
    selection = job.selection
    return {
        "state": job.state.value,
        "selection": str(selection),
        "endpointId": selection.endpoint,
        "total": job.total,
        "counted": job.counted,
        "done": job.done,
        "rate": job.rate,
        "reason": job.reason,
        "since": None if selection.since is None else rfc3339(selection.since),
        "until": None if selection.until is None else rfc3339(selection.until),
        "messageId": selection.message,
        "states": [state.value for state in selection.states],
        "eventTypes": list(selection.event_types),
        "missing": selection.missing,
        "channel": selection.channel,
        "tag": selection.tag,
        "statusCodeClass": selection.status_class,
        "createdAt": rfc3339(job.created_at),
    }


def _task(job: Job) -> TaskKind:
    """Return the task by the name that the clients know it by."""
    if job.task == ERASE:
        return PURGE
    selection = job.selection
    if selection.missing:
        return "endpoint.replay"
    if selection.endpoint is None or selection.message is not None:
        return "endpoint.bulk-replay"
    default = Selection(selection.since, selection.until, selection.endpoint)
    return "endpoint.recover" if selection == default else "endpoint.bulk-replay"


@router.post(
    "/app/{app_id}/endpoint/{endpoint_id}/recover",
    operation_id="v1.endpoint.recover",
    status_code=202,
    response_model=RecoverOut,
    responses=errors_of(404, 409),
)
async def recover(app: Writing, endpoint_id: EndpointId, body: RecoverIn) -> Answer:
    """Send again what failed at an endpoint, or was held for it, in the background."""
    job = await app.replay(endpoint_id, since=body.since, until=body.until)
    return Answer(shown(job), 202)


@router.post(
    "/app/{app_id}/endpoint/{endpoint_id}/replay-missing",
    operation_id="v1.endpoint.replay-missing",
    responses=errors_of(404, 409),
    **ACCEPTED,
)
async def replay_missing(app: Writing, endpoint_id: EndpointId, body: ReplayIn) -> Answer:
    """Send what an endpoint wants today and never got: messages from before it, too."""
    job = await app.replay(
        endpoint_id,
        since=body.since,
        until=body.until,
        states=(),
        missing=True,
        rate=body.rate,
        dry_run=body.dry_run,
    )
    return Answer(shown(job), 202)


@router.post(
    "/app/{app_id}/endpoint/{endpoint_id}/bulk-replay",
    operation_id="v1.endpoint.bulk-replay",
    responses=errors_of(404, 409),
    **ACCEPTED,
)
async def bulk_replay(app: Writing, endpoint_id: EndpointId, body: BulkReplayIn) -> Answer:
    """Send to an endpoint again what it was sent, by event type and by where it stands."""
    return Answer(shown(await _bulk(app, body, endpoint_id)), 202)


@router.post(
    "/app/{app_id}/replay",
    operation_id="v1.application.replay",
    responses=errors_of(404, 409),
    **ACCEPTED,
)
async def replay_application(app: Writing, body: AppReplayIn) -> Answer:
    """Send again to all enabled endpoints of an application, or what is told more narrowly."""
    return Answer(shown(await _bulk(app, body, body.endpoint_id)), 202)


@router.get(
    "/app/{app_id}/background-task",
    operation_id="v1.application.background-task.list",
    response_model=Listed[BackgroundTaskOut],
    responses=errors_of(400, 404),
)
async def list_application_tasks(
    app: Reading, window: Annotated[Window, Depends(paged_newest.window)]
) -> Answer:
    """List the tasks of an application, the newest first. Kept for 30 days."""
    page = await app.job_page(window)
    return Answer(listed(page, shown, lambda job: job.id or "", ids.JOB))


async def _bulk(
    app: ApplicationWebhooks,
    body: BulkReplayIn,
    endpoint_id: str | None = None,
) -> Job:
    states: tuple[DeliveryState, ...] | None = None
    if body.status is not None:
        states = tuple(state for state in STATES[body.status] if state in EVERYTHING)
    own = body if isinstance(body, AppReplayIn) else AppReplayIn()
    return await app.replay(
        endpoint_id,
        since=body.since,
        until=body.until,
        message=own.message_id,
        states=states if own.states is None else own.states,
        event_types=body.event_types,
        missing=own.missing,
        channel=body.channel,
        tag=body.tag,
        status_class=body.status_code_class,
        rate=body.rate,
        dry_run=body.dry_run,
    )


@router.get(
    "/background-task",
    operation_id="v1.background-task.list",
    response_model=Listed[BackgroundTaskOut],
    responses=errors_of(400),
)
async def list_tasks(
    request: Request,
    _: Reader,
    window: Annotated[Window, Depends(paged.window)],
    status: TaskStatus | None = None,
    task: Annotated[
        TaskKind | None,
        Query(description="Of this kind only."),
    ] = None,
) -> Answer:
    """List the tasks of all applications, in the order they were made. Kept for 30 days."""
    states = _STATES[status] if status is not None else ()
    page = await facade(request).all_jobs(window, states)
    if task is not None:
        kept = [job for job in page.items if _task(job) == task]
        page = Page(kept, page.more, page.last)
    return Answer(listed(page, shown, lambda job: job.id or "", ids.JOB))


@router.get(
    "/background-task/{task_id}",
    operation_id="v1.background-task.get",
    response_model=BackgroundTaskOut,
    responses=errors_of(404),
)
async def get_task(request: Request, key: Caller, task_id: TaskId) -> Answer:
    """Say how far a task got."""
    job, _ = await _found(request, key, task_id)
    return Answer(shown(job))


@router.post(
    "/background-task/{task_id}/cancel",
    operation_id="v1.background-task.cancel",
    response_model=BackgroundTaskOut,
    responses=errors_of(404),
)
async def cancel_task(request: Request, key: Caller, task_id: TaskId) -> Answer:
    """Stop a task, unless it has ended. What it made due until now is delivered."""
    _, app = await _found(request, key, task_id)
    if not key.allows(app.id, write=True):
        raise errors.forbidden("more than the scope read")
    return Answer(shown(await app.cancel_job(task_id)))


async def _found(request: Request, key: ApiKey, task_id: str) -> tuple[Job, ApplicationWebhooks]:
    """Return a task and whose it is; one that is not the key's is not found."""
    job, app = await facade(request).any_job(task_id)
    if not key.allows(app.id, write=False):
        raise errors.not_found(f"no task {task_id!r}")
    return job, app
