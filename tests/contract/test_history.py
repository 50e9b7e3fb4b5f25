"""Looking up messages and attempts on each database: filters, pages, figures."""

from datetime import UTC, datetime

import pytest
from tests.contract.conftest import FAILED, OK

from hookline._domain import ids
from hookline._domain.delivery import Decision, DeliveryState, Failure, Outcome
from hookline._domain.history import EndpointStats, Filter
from hookline._domain.page import Cursor, Window
from hookline._domain.tally import Tally

EXHAUSTED = Decision(DeliveryState.EXHAUSTED)
EVERYTHING = Filter()


def at(milliseconds):
    """Return a time."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def names(page):
    """Return the event types of a page of messages, or of attempts or places of messages."""
    return [getattr(each, "message", each).event_type for each in page.items]


async def published(b, *types, **options):
    """Publish one message of each type, a millisecond apart."""
    keys = []
    for event in types:
        b.now += 1
        keys += await b.publish(event=event, **options)
    return keys


async def test_messages_newest_first(bench):
    """Page by page, and back; only those of the application."""
    async with bench as b:
        other, _ = await b.store.applications.create({"name": "o", "uid": "o"}, b.now)
        await published(b, *"abcde")
        await published(b, "foreign", app=await b.store.applications.key(other.id))
        history = b.store.history
        first = await history.messages(b.app, EVERYTHING, Window(2, descending=True))
        assert (names(first), first.more) == (["e", "d"], True)
        after = Cursor(first.last)
        second = await history.messages(b.app, EVERYTHING, Window(2, after, descending=True))
        assert names(second) == ["c", "b"]
        before = Cursor(ids.decode(ids.MESSAGE, second.items[0].id), backwards=True)
        back = await history.messages(b.app, EVERYTHING, Window(2, before, descending=True))
        assert (names(back), back.more) == (["e", "d"], False)


async def test_messages_are_filtered(bench):
    """By type, channel, tag, time and text, together."""
    async with bench as b:
        await published(b, "a", channels=("x", "y"), tags=("t",))
        middle = b.now
        await published(b, "b", channels=("xy",), event_id="order-1")
        await published(b, "c")
        for wanted, expected in (
            (Filter(event_types=("a", "c")), ["c", "a"]),
            (Filter(channel="x"), ["a"]),
            (Filter(channel="xy"), ["b"]),
            (Filter(channel='x","y'), []),
            (Filter(channel="%"), []),
            (Filter(tag="t"), ["a"]),
            (Filter(after=at(middle)), ["c", "b"]),
            (Filter(before=at(middle)), []),
            (Filter(before=at(middle + 1)), ["a"]),
            (Filter(text='"n":1'), ["c", "b", "a"]),
            (Filter(text="nothing"), []),
            (Filter(event_types=("a", "b"), channel="xy"), ["b"]),
        ):
            found = await b.store.history.messages(b.app, wanted, Window(descending=True))
            assert names(found) == expected, wanted


async def test_a_message_is_found_by_id_and_event_id(bench):
    """The newest of those with the same event id, in its own application alone."""
    async with bench as b:
        _, newer = await published(b, "a", "b", event_id="order-1", channels=("x",))
        history = b.store.history
        assert await history.message_key(b.app, "order-1") == newer
        assert await history.message_key(b.app, ids.encode(ids.MESSAGE, newer)) == newer
        assert await history.message_key(bytes(16), "order-1") is None
        assert await history.message_key(b.app, "order-2") is None
        [found] = await history.read(b.app, [newer])
        assert (found.event_id, found.channels, found.body) == ("order-1", ("x",), b'{"n":1}')
        assert await history.read(bytes(16), [newer]) == []


async def test_a_page_ends_its_search(bench, monkeypatch):
    """With what it has found, saying where to go on, so that a rare row costs no long wait."""
    monkeypatch.setattr("hookline._storage.search.LOOKED_AT", 3)
    async with bench as b:
        await published(b, "rare", "a", "a", "a", "a", "rare", "a")
        found, cursor, reads = [], None, 0
        while True:
            page = await b.store.history.messages(
                b.app, Filter(event_types=("rare",)), Window(2, cursor, descending=True)
            )
            reads += 1
            found += names(page)
            if not page.more:
                break
            cursor = Cursor(page.last)
        assert (found, reads) == (["rare", "rare"], 3)


async def test_a_page_looks_further_when_its_first_look_found_too_little(bench, monkeypatch):
    """What is rare is found behind the first rows."""
    monkeypatch.setattr("hookline._storage.search.FIRST_LOOK", 2)
    async with bench as b:
        await published(b, "rare", "a", "a", "a", "a")
        wanted = Filter(event_types=("rare",))
        page = await b.store.history.messages(b.app, wanted, Window(1, None, descending=True))
        assert (names(page), page.more) == (["rare"], False)


async def worked(b):
    """Send four messages to two endpoints: one succeeds, one fails, one is exhausted, one waits."""
    one, two = await b.declare("one", "two", events=["*"])
    keys = await published(b, "ok", "failed", "exhausted", "waits")
    leased = (await b.route()).leased
    b.now += 1
    for each in leased:
        outcome, decision = {
            "ok": (OK, None),
            "failed": (FAILED, Decision.retry(b.now + 5000, "HTTP 503")),
            "exhausted": (Outcome(None, Failure.TIMEOUT), EXHAUSTED),
        }.get(each.event_type, (None, None))
        if outcome is not None and each.target.key == one:
            await b.settle([each], outcome, decision)
    return one, two, keys


async def test_attempts_at_an_endpoint(bench):
    """Filtered by result, class of status, type and time; those of another are not among them."""
    async with bench as b:
        one, two, _ = await worked(b)
        history = b.store.history
        for wanted, expected in (
            (EVERYTHING, ["exhausted", "failed", "ok"]),
            (Filter(succeeded=True), ["ok"]),
            (Filter(succeeded=False), ["exhausted", "failed"]),
            (Filter(status_class=500), ["failed"]),
            (Filter(status_class=200), ["ok"]),
            (Filter(status_class=0), ["exhausted"]),
            (Filter(event_types=("ok", "failed")), ["failed", "ok"]),
            (Filter(after=at(b.now)), []),
        ):
            found = await history.attempts_at_endpoint(one, wanted, Window(descending=True))
            assert sorted(names(found)) == sorted(expected), wanted
        assert names(await history.attempts_at_endpoint(two, EVERYTHING, Window())) == []


async def test_attempts_of_a_message(bench):
    """With the message they were made for; one by one too."""
    async with bench as b:
        one, _, keys = await worked(b)
        history = b.store.history
        [found] = (await history.attempts_of_message(keys[1], EVERYTHING, Window())).items
        assert found.attempt.status == 503
        key = ids.decode(ids.ATTEMPT, found.attempt.id)
        assert await history.attempt(keys[1], key) == found
        assert await history.attempt(keys[0], key) is None
        here = Filter(endpoint=one)
        assert len((await history.attempts_of_message(keys[1], here, Window())).items) == 1
        here = Filter(endpoint=bytes(16))
        assert (await history.attempts_of_message(keys[1], here, Window())).items == []


async def test_what_was_answered_is_forgotten(bench):
    """For one attempt; that it was made stays known."""
    async with bench as b:
        _, _, keys = await worked(b)
        [found] = (await b.store.history.attempts_of_message(keys[0], EVERYTHING, Window())).items
        assert found.attempt.response_body == b"thanks"
        key = ids.decode(ids.ATTEMPT, found.attempt.id)
        assert await b.store.history.forget_answer(keys[0], key, b.now)
        again = await b.store.history.attempt(keys[0], key)
        assert (again.attempt.response_body, again.attempt.status) == (b"", 200)
        assert not await b.store.history.forget_answer(keys[1], key, b.now)


async def test_where_messages_stand_at_an_endpoint(bench):
    """Newest first, live ones and ended ones, with the next attempt."""
    async with bench as b:
        one, two, _ = await worked(b)
        history = b.store.history
        window = Window(descending=True)
        found = await history.attempted(b.app, one, EVERYTHING, window, b.now)
        assert [(e.message.event_type, e.state.value, e.attempts) for e in found.items] == [
            ("waits", "sending", 0),
            ("exhausted", "exhausted", 1),
            ("failed", "pending", 1),
            ("ok", "succeeded", 1),
        ]
        assert found.items[2].next_attempt_at == at(b.now + 5000)
        only = Filter(event_types=("failed",))
        assert names(await history.attempted(b.app, one, only, window, b.now)) == ["failed"]
        await b.declare("late")
        late = (await b.keys())["late"]
        assert (await history.attempted(b.app, late, EVERYTHING, window, b.now)).items == []
        waiting = await history.attempted(b.app, two, EVERYTHING, window, b.now)
        assert {e.state for e in waiting.items} == {DeliveryState.SENDING}


async def test_figures_of_an_endpoint(bench):
    """How its deliveries ended in a time, and how many are under way."""
    async with bench as b:
        one, two, _ = await worked(b)
        stats = b.store.history.stats
        assert await stats(one, 0, b.now + 1, b.now) == EndpointStats(1, 1, 1, 1, 0)
        assert await stats(one, 0, b.now, b.now) == EndpointStats(0, 0, 1, 1, 0)
        assert await stats(two, 0, b.now + 1, b.now) == EndpointStats(0, 0, 0, 4, 0)


async def test_stats_of_hours_that_are_over_come_from_tallies(bench):
    """Those of parts of hours, and of the last minutes, from the log."""
    async with bench as b:
        [key] = await b.declare("a", events=["*"])
        hour = 3_600_000
        this = b.now // hour * hour
        tallies = {
            (key, this // 1000 - 2 * 3600): Tally(succeeded=3, failed=2, exhausted=1),
            (key, this // 1000 - 700 * 3600): Tally(succeeded=5),
        }
        await b.store.tallies.add(tallies)
        stats = b.store.history.stats
        assert await stats(key, this - 3 * hour, b.now, b.now) == EndpointStats(3, 1)
        assert await stats(key, this - 800 * hour, b.now, b.now) == EndpointStats(8, 1)
        assert await stats(key, this - 2 * hour + 1, b.now, b.now) == EndpointStats()
        assert await stats(key, this - 2 * hour, this - 2 * hour + 1, b.now) == EndpointStats()
        await b.publish(1)
        await b.settle((await b.route()).leased)
        assert await stats(key, this - 3 * hour, b.now + 1, b.now) == EndpointStats(4, 1)


@pytest.mark.parametrize(
    ("channels", "reached"),
    [((), {"all"}), (("x",), {"all", "x", "xy"}), (("y", "z"), {"all", "xy"}), (("q",), {"all"})],
)
async def test_channels_choose_endpoints(bench, channels, reached):
    """An endpoint that names channels gets what was sent to one of them; others get everything."""
    async with bench as b:
        await b.declare("all")
        await b.declare("x", channels=("x",))
        await b.declare("xy", channels=("x", "y"))
        await b.publish(channels=channels)
        leased = (await b.route()).leased
        assert {each.target.url.split("//")[1].split(".")[0] for each in leased} == reached
