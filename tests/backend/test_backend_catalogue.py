"""What the backend promises to receivers: described, and not broken by accident."""

import asyncio
import json
import re
from datetime import UTC, datetime

from backend_support import REPOSITORY, Backend
from test_backend_events import CASES

from hookline.events import changes

LOCK = REPOSITORY / "backend" / "webhooks.lock.json"


def test_promises_are_kept(backend: Backend) -> None:
    """No change since webhooks.lock.json was committed breaks receivers, and it is current."""
    now = backend.load("app.core.webhooks").webhooks.catalogue.json_schemas()
    found = changes(json.loads(LOCK.read_text("utf-8")), now, today=datetime.now(UTC).date())
    assert [str(each) for each in found] == [], (
        "run in backend/: hookline event-types check webhooks.lock.json app.core.webhooks --write"
    )


def test_all_eleven_are_described(backend: Backend) -> None:
    """In the application's own document, in the database, and as they are sent."""
    document = backend.http.get("/openapi.json").json()
    assert set(document["webhooks"]) == set(CASES)
    core = backend.load("app.core.webhooks")
    page = asyncio.run(core.webhooks.event_types.page())
    assert {each.name for each in page.items} == set(CASES)
    for each in page.items:
        data = each.schema["properties"]["data"]
        assert list(CASES[each.name][1]) == data["required"], each.name
        assert re.match(r"A (customer|document|product)\b", each.description)


def test_what_the_guide_lets_callers_send_is_sent(backend: Backend) -> None:
    """The models describe: other data of a caller's own go out as they are."""
    core = backend.load("app.core.webhooks")
    asyncio.run(core.trigger_webhook("customer.created", {"z": 1, "a": None}))
    assert b'"data":{"z":1,"a":null}' in backend.webhook("customer.created").body
