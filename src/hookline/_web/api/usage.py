"""How much was sent, by application and day."""

from typing import Annotated, Any

from fastapi import Query, Request

from hookline import Usage
from hookline._web.answers import Answer
from hookline._web.api.callers import Reader, Reading, facade
from hookline._web.api.models.wire import Time, Wire
from hookline._web.api.routes import Router, errors_of

router = Router("Usage")
Since = Annotated[Time | None, Query(description="From this day (UTC) on; 30 days by default.")]
Until = Annotated[Time | None, Query(description="Until before this time; now by default.")]


class UsageDayOut(Wire):
    """One application on one day (UTC): messages published, attempts to deliver made."""

    app_id: str
    day: str
    messages: int
    attempts: int


class UsageOut(Wire):
    """Days, the oldest first."""

    data: list[UsageDayOut]


def shown(found: list[Usage]) -> dict[str, Any]:
    """Return days as they are answered, `UsageOut`: there may be thousands."""
    return {
        "data": [
            {
                "appId": each.application,
                "day": each.day.isoformat(),
                "messages": each.messages,
                "attempts": each.attempts,
            }
            for each in found
        ]
    }


@router.get(
    "/app/{app_id}/usage",
    operation_id="v1.application.usage",
    response_model=UsageOut,
    responses=errors_of(400, 404),
)
async def application_usage(app: Reading, since: Since = None, until: Until = None) -> Answer:
    """Count messages and attempts of an application, day by day; days without any are left out."""
    return Answer(shown(await app.usage(since=since, until=until)))


@router.get(
    "/usage",
    operation_id="v1.usage.list",
    response_model=UsageOut,
    responses=errors_of(400),
)
async def all_usage(
    request: Request, _: Reader, since: Since = None, until: Until = None
) -> Answer:
    """Count messages and attempts of every application, day by day, deleted ones too."""
    return Answer(shown(await facade(request).all_usage(since=since, until=until)))
