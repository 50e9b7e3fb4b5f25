"""The catalogue over the API and in the portal: what code declares, and what people may see."""

from datetime import date

import httpx
from openapi_spec_validator import validate
from pydantic import BaseModel, Field
from tests.web.test_portal import customer

from hookline._web.api.app import build
from hookline.events import event


class Line(BaseModel):
    """A position."""

    price: str = Field(examples=["9.90"], description="In EUR, <b>not</b> in cents.")


@event(
    "order.placed",
    version=2,
    group="orders",
    deprecated=date(2030, 1, 31),
    sunset=date(2031, 1, 31),
    successor="order.accepted",
)
class OrderPlaced(BaseModel):
    """Somebody ordered."""

    number: str = Field(examples=["A-1"])
    lines: list[Line]
    note: str | None = Field(default=None, deprecated=True)


EVENTS = [OrderPlaced, "plain.name"]


async def documents(webhooks):
    """Return the OpenAPI and the AsyncAPI document, as anybody gets them."""
    transport = httpx.ASGITransport(build(webhooks))
    async with httpx.AsyncClient(transport=transport, base_url="http://hookline.test") as nobody:
        answers = [await nobody.get(f"/api/v1/{each}.json") for each in ("openapi", "asyncapi")]
    assert [answer.status_code for answer in answers] == [200, 200]
    return [answer.json() for answer in answers]


async def test_what_is_sent_is_described(make_webhooks):
    """Envelope, data, headers and deprecation; what only has a name has the envelope."""
    webhooks = make_webhooks(deliver=False, events=EVENTS)
    openapi, asyncapi = await documents(webhooks)
    validate(openapi)
    assert [*openapi["webhooks"]] == [*asyncapi["channels"]] == ["order.placed", "plain.name"]
    placed = openapi["webhooks"]["order.placed"]["post"]
    assert placed["deprecated"]
    assert "use order.accepted instead" in placed["description"]
    assert {each["$ref"].rpartition("/")[2] for each in placed["parameters"]} >= {
        "webhook-signature",
        "X-Webhook-Signature",
    }
    body = openapi["components"]["schemas"]["order.placed"]
    assert body["properties"]["data"]["properties"]["lines"]["items"] == {
        "$ref": "#/components/schemas/order.placed/$defs/Line"
    }
    plain = openapi["components"]["schemas"]["plain.name"]
    assert plain["properties"]["event"]["const"] == "plain.name"
    await webhooks.stop()


async def test_what_is_kept_back_is_not_described(make_webhooks):
    """Neither what was archived nor what is behind a flag, though code declares it."""
    webhooks = make_webhooks(deliver=False, events=EVENTS)
    await webhooks.start()
    await webhooks.event_types.update("order.placed", feature_flags=["beta"])
    await webhooks.event_types.create("plain.name")
    await webhooks.event_types.delete("plain.name")
    openapi, asyncapi = await documents(webhooks)
    assert openapi["webhooks"] == asyncapi["channels"] == {}
    assert "order.placed" not in openapi["components"]["schemas"]
    await webhooks.stop()


async def test_the_portal_shows_fields(make_webhooks):
    """As a table, with types and what may be missing; nobody's words become markup."""
    async with customer(make_webhooks(deliver=False, events=EVENTS)) as c:
        page = (await c.see("/event-types/order.placed")).text
        for words in (
            "data.lines[].price",
            "In EUR, &lt;b&gt;not&lt;/b&gt; in cents.",
            "string or null",
            "since 2030-01-31",
            "not sent from 2031-01-31 on",
            "/portal/event-types/order.accepted",
            "&#34;number&#34;: &#34;A-1&#34;",
        ):
            assert words in page, words
        chinese = (await c.see("/event-types/order.placed", headers={"accept-language": "zh"})).text
        assert "自 2030-01-31 起" in chinese


async def test_the_portal_shows_any_schema(make_webhooks):
    """What was put into the catalogue over the API may be anything."""
    webhooks = make_webhooks(deliver=False)
    async with customer(webhooks) as c:
        endless = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
        wide = {f"f{n}": {"$ref": "#"} for n in range(40)}
        for number, schema in enumerate(
            (
                endless,
                {"type": "object", "properties": wide, "required": 7},
                {
                    "properties": {"a": {"anyOf": 3}, "b": True, "c": {"type": 5}},
                    "deprecated": True,
                },
                {"properties": ["x"], "x-sunset": ["<script>"]},
            )
        ):
            await webhooks.event_types.create(f"a.n{number}", schemas={"1": schema})
            page = await c.see(f"/event-types/a.n{number}")
            assert page.status_code == 200
            assert "<script>" not in page.text
        openapi, _ = await documents(webhooks)
        assert len(openapi["webhooks"]) == 4


async def test_what_is_published_over_the_api_is_checked(serve):
    """The server of an application's own models refuses a body that is none of its event type."""
    async with serve(events=EVENTS) as s:
        await s.webhooks.applications.create("Acme", uid="acme")
        data = {"number": "A-1", "lines": [], "note": None}
        for payload, status in (
            ({"event": "order.placed", "data": data}, 202),
            ({"data": {**data, "number": 7}}, 422),
            (data, 422),
        ):
            message = {"eventType": "order.placed", "payload": payload}
            answer = await s.api.post("/api/v1/app/acme/msg", json=message)
            assert answer.status_code == status, answer.text
        assert "order.placed version 2: data: missing" in answer.text
