"""Following an application's messages: each once, none missed, also those committed late."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from hookline._app import history
from hookline._domain import ids
from hookline._engine.keys import new_key
from hookline._ports import NewMessage
from hookline.errors import InvalidInput


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Look often."""
    monkeypatch.setattr(history, "LOOK", 0.02)


async def next_millisecond(webhooks):
    """Let the clock move on: ids are times, and what comes now is to be after what was."""
    now = webhooks._runtime.clock.now
    then = now()
    while now() == then:  # noqa: ASYNC110 - a millisecond, and no event tells of it
        await asyncio.sleep(0)


class Following:
    """A follower under way."""

    def __init__(self, following):
        self._following = following
        self.found = []
        self.position = None

    async def until(self, n):
        """Return the ids of the first `n` messages."""
        while len(self.found) < n:
            await self.look()
        return [each.id for each in self.found]

    async def look(self):
        """Take what comes next, which may be nothing."""
        step = await anext(self._following)
        self.found += step.messages
        self.position = step.position

    async def close(self):
        await self._following.aclose()


async def test_messages_come_as_they_are_published(on_each_database):
    """From the moment of following on, those that an endpoint would get, in order."""
    async with on_each_database(deliver=False) as webhooks:
        await webhooks.trigger("a.b", {"n": 0})
        await next_millisecond(webhooks)
        follower = Following(webhooks.follow(["a.*"], ["c"]))
        await follower.look()
        sent = []
        for event, channels in (("a.b", ["c"]), ("a.b", []), ("x.y", ["c"]), ("a.c", ["d", "c"])):
            sent.append((await webhooks.trigger(event, {"n": 1}, channels=channels)).message_id)
        assert await follower.until(2) == [sent[0], sent[3]]
        assert follower.found[0].body.startswith(b'{"event":"a.b"')
        await follower.close()


async def test_one_that_is_committed_late_is_not_missed(on_each_database, monkeypatch):
    """Its id is older than some that were seen before it: ids are made before the commit."""
    async with on_each_database(deliver=False) as webhooks:
        follower = Following(webhooks.follow())
        await follower.look()
        now = webhooks._runtime.clock.now()
        late = new_key(now)
        await next_millisecond(webhooks)
        first = (await webhooks.trigger("a.b", {})).message_id
        assert await follower.until(1) == [first]
        await follower.look()
        app = webhooks._runtime.engine.app
        message = NewMessage(late, app, "a.late", b'{"late":1}', now, now)
        await webhooks._runtime.on_home(webhooks._runtime.engine.publish_together([message]))
        assert await follower.until(2) == [first, ids.encode(ids.MESSAGE, late)]
        for _ in range(3):
            await follower.look()
        assert len(follower.found) == 2
        await follower.close()


async def test_a_follower_goes_on_where_it_was(on_each_database):
    """What came shortly before comes again, what was published meanwhile is there."""
    async with on_each_database(deliver=False) as webhooks:
        follower = Following(webhooks.follow())
        await follower.look()
        first = (await webhooks.trigger("a.b", {})).message_id
        await follower.until(1)
        await follower.close()
        second = (await webhooks.trigger("a.b", {})).message_id
        again = Following(webhooks.follow(after=follower.position))
        assert await again.until(2) == [first, second]
        await again.close()
        back = Following(webhooks.follow(since=datetime.now(UTC) - timedelta(minutes=1)))
        assert await back.until(2) == [first, second]
        await back.close()


async def test_a_position_moves_on_in_silence(make_webhooks, clock):
    """So that nothing is read again and again; and never back."""
    async with make_webhooks(deliver=False, clock=clock) as webhooks:
        follower = Following(webhooks.follow())
        await follower.look()
        before = follower.position
        clock.advance(60)
        await follower.look()
        await follower.look()
        assert follower.position > before
        await follower.close()


async def test_more_than_one_look_can_hold_is_read_on(make_webhooks, monkeypatch):
    """At once, each of them once."""
    monkeypatch.setattr(history, "HEADS", 7)
    monkeypatch.setattr(history, "FOLLOWED", 3)
    async with make_webhooks(deliver=False) as webhooks:
        start = datetime.now(UTC) - timedelta(seconds=5)
        events = [("a.b", {"n": n}) for n in range(30)]
        sent = [receipt.message_id for receipt in await webhooks.trigger_many(events)]
        follower = Following(webhooks.follow(since=start))
        assert sorted(await follower.until(30)) == sorted(sent)
        await follower.look()
        assert len(follower.found) == 30
        await follower.close()


async def test_what_is_not_for_endpoints_is_left_out(make_webhooks):
    """Tests of one endpoint, what was erased, what was canceled; another application's."""
    async with make_webhooks(deliver=False) as webhooks:
        start = datetime.now(UTC) - timedelta(seconds=5)
        endpoint = await webhooks.create_endpoint("https://example.com/")
        await webhooks.send_test(endpoint)
        await webhooks.erase((await webhooks.trigger("a.b", {})).message_id)
        await webhooks.cancel((await webhooks.trigger("a.b", {})).message_id)
        other = await webhooks.applications.create("Other")
        await (await webhooks.for_application(other.id)).trigger("a.b", {})
        seen = (await webhooks.trigger("a.b", {})).message_id
        follower = Following(webhooks.follow(since=start))
        assert await follower.until(1) == [seen]
        await follower.look()
        assert len(follower.found) == 1
        await follower.close()


async def test_what_is_no_position_is_refused(make_webhooks):
    """As are subscriptions that are none."""
    webhooks = make_webhooks(deliver=False)
    for wrong in (
        {"after": "msg_x"},
        {"events": ["not an event"]},
        {"since": datetime(2026, 1, 1)},  # noqa: DTZ001 - that is what is wrong with it
    ):
        with pytest.raises(InvalidInput):
            await anext(webhooks.follow(**wrong))
