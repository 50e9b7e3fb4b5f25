"""Erasing all that the messages of an application said."""

from typing import Any

from hookline._web.answers import Answer
from hookline._web.api.callers import Producing
from hookline._web.api.models.tasks import BackgroundTaskOut
from hookline._web.api.routes import Router, answers, errors_of
from hookline._web.api.tasks import PURGE, shown

router = Router("Messages")
EXAMPLE: dict[str, Any] = {
    "id": "job_0ERg67C6N3KNtcDb63Kjj21gtWm",
    "status": "running",
    "task": PURGE,
    "updatedAt": "2027-01-15T08:00:00.000Z",
    "data": {"messagesPurged": 0, "reason": None},
}


@router.post(
    "/app/{app_id}/msg/expunge-all-contents",
    operation_id="v1.message.expunge-all-contents",
    status_code=202,
    response_model=BackgroundTaskOut,
    responses=answers(202, BackgroundTaskOut, EXAMPLE, "Begun") | errors_of(404),
)
async def expunge_all(app: Producing) -> Answer:
    """Erase what all messages of an application said and what was answered, in the background.

    What still waits to be sent is not sent any more. That messages were sent stays known.
    """
    return Answer(shown(await app.erase_all()), 202)
