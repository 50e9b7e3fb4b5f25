"""Ordered endpoints: one webhook at a time, oldest first."""

import pytest

from hookline.testing import Receiver

QUICK = [0, 0.01, 0.01, 0.01]


def numbers(received):
    """Return the data.n of what arrived, in order of arrival."""
    return [r.json()["data"]["n"] for r in received]


async def test_a_failing_head_holds_up_those_behind_it(on_each_database):
    """Events arrive in the order of their triggers, however often the first one fails."""
    webhooks = on_each_database(retry_schedule=QUICK)
    with Receiver() as receiver:
        receiver.answer(503, times=2)
        webhooks.register(receiver.url, ["*"], ordered=True)
        receipts = [await webhooks.trigger("a.b", {"n": n}) for n in range(20)]
        await receipts[-1].delivered(15)
        assert numbers(receiver.received) == [0, 0, *range(20)]


async def test_an_exhausted_head_lets_the_next_one_through(on_each_database):
    """A head that is given up ends in the dead letters, not in front of its line."""
    webhooks = on_each_database(retry_schedule=[0, 0.01])
    with Receiver() as receiver:
        receiver.answer(500, times=2)
        webhooks.register(receiver.url, ["*"], ordered=True)
        first = await webhooks.trigger("a.b", {"n": 0})
        second = await webhooks.trigger("a.b", {"n": 1})
        (status,) = await second.delivered(15)
        assert status.state == "succeeded"
        assert [s.state for s in await first.delivered(5)] == ["exhausted"]


async def test_keys_wait_for_their_own_kind_only(on_each_database):
    """With ordering keys, a failing event holds up those of the same key and no others."""
    webhooks = on_each_database(retry_schedule=[0, 3600])
    with Receiver() as receiver:
        receiver.answer(lambda r: 503 if r.json()["data"]["n"] == 0 else 200)
        webhooks.register(receiver.url, ["*"], ordered=True)
        await webhooks.trigger("a.b", {"n": 0}, ordering_key="anna")
        blocked = await webhooks.trigger("a.b", {"n": 1}, ordering_key="anna")
        free = [await webhooks.trigger("a.b", {"n": n}, ordering_key="otto") for n in (2, 3, 4)]
        await free[-1].delivered(15)
        assert [n for n in numbers(receiver.received) if n] == [2, 3, 4]
        with pytest.raises(TimeoutError, match="pending"):
            await blocked.delivered(0.01)


async def test_a_canceled_head_makes_room(on_each_database):
    """Canceling the head lets the next in line go."""
    webhooks = on_each_database(retry_schedule=[0, 3600])
    with Receiver() as receiver:
        receiver.answer(503, times=1)
        webhooks.register(receiver.url, ["*"], ordered=True)
        first = await webhooks.trigger("a.b", {"n": 0})
        second = await webhooks.trigger("a.b", {"n": 1})
        receiver.wait_for(1)
        while not await webhooks.cancel(first.message_id):
            pass  # its failed attempt is being settled
        await second.delivered(15)
        assert numbers(receiver.received) == [0, 1]
