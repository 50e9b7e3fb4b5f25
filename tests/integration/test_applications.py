"""Many applications in one deployment: each has endpoints, messages and replays of its own."""

from datetime import UTC, datetime, timedelta

import pytest

from hookline import DeliveryState, EndpointState, Filter, Window
from hookline.errors import (
    AlreadyExists,
    ApplicationNotFound,
    AttemptNotFound,
    BlockedDestination,
    EndpointNotFound,
    IdempotencyConflict,
    InvalidHeader,
    InvalidInput,
    InvalidPayload,
    JobNotFound,
    MessageNotFound,
    PayloadTooLarge,
)

SECRET = "your-secret-key"


@pytest.fixture
def two(on_each_database):
    """Return a maker of a façade and the façades of two applications of it."""

    async def make(**options):
        webhooks = on_each_database(**options)
        for uid in ("acme", "globex"):
            await webhooks.applications.create(uid.title(), uid=uid)
        acme, globex = [await webhooks.for_application(uid) for uid in ("acme", "globex")]
        return webhooks, acme, globex

    return make


async def test_each_hears_its_own(two, receiver):
    """What one publishes goes to its endpoints alone, though they all have the same URL."""
    webhooks, acme, globex = await two()
    webhooks.register(receiver.url, ["*"], secret=SECRET)
    mine = await acme.create_endpoint(receiver.url, secret=SECRET)
    theirs = await globex.create_endpoint(receiver.url, secret=SECRET)
    receipt = await acme.trigger("order.paid", {"n": 1})
    [status] = await receipt.delivered()
    assert (status.endpoint_id, receiver.count) == (mine.id, 1)
    assert [e.id for e in await globex.endpoints()] == [theirs.id]
    assert [e.source for e in await webhooks.endpoints()] == ["code"]


async def test_nothing_of_another_is_found(two, receiver):
    """By no id, whatever is asked for."""
    _, acme, globex = await two()
    mine = await acme.create_endpoint(receiver.url, uid="main", secret=SECRET)
    receipt = await acme.trigger("order.paid", {}, event_id="e-1")
    await receipt.delivered()
    [attempt] = await acme.attempts(receipt.message_id)
    job = await acme.replay(mine.id, since=datetime.now(UTC) - timedelta(hours=1))
    message, since = receipt.message_id, datetime(2026, 1, 1, tzinfo=UTC)
    for error, calls in {
        EndpointNotFound: [
            lambda: globex.endpoint(mine.id),
            lambda: globex.endpoint("main"),
            lambda: globex.endpoint(receiver.url),
            lambda: globex.endpoint_health(mine.id),
            lambda: globex.endpoint_stats(mine),
            lambda: globex.update_endpoint(mine, description="x"),
            lambda: globex.delete_endpoint(mine),
            lambda: globex.rotate_secret(mine),
            lambda: globex.disable(mine, "x"),
            lambda: globex.enable(mine),
            lambda: globex.change_url(mine, receiver.url),
            lambda: globex.verify_endpoint(mine),
            lambda: globex.send_test(mine),
            lambda: globex.attempts_at(mine),
            lambda: globex.attempted(mine),
            lambda: globex.replay(mine.id, since=since),
        ],
        MessageNotFound: [
            lambda: globex.message(message),
            lambda: globex.message("e-1"),
            lambda: globex.attempts(message),
            lambda: globex.attempts_of(message),
            lambda: globex.attempt(message, attempt.id),
            lambda: globex.destinations(message),
            lambda: globex.resend(message, mine),
            lambda: globex.erase(message),
            lambda: globex.erase_answer(message, attempt.id),
            lambda: globex.cancel(message),
            lambda: globex.replay(message=message),
        ],
        JobNotFound: [lambda: globex.job(job.id), lambda: globex.cancel_job(job.id)],
    }.items():
        for call in calls:
            with pytest.raises(error):
                await call()
    assert (await globex.messages()).items == []
    assert await globex.jobs() == []
    assert (await acme.endpoint(mine.id)).state is EndpointState.ACTIVE


async def test_an_application_is_known_by_id_and_uid(two):
    """And `default` is there from the start, and stays."""
    webhooks, acme, _ = await two(deliver=False)
    found = await webhooks.applications.get("acme")
    assert found.id == acme.id == (await webhooks.for_application(found.id)).id
    assert (await webhooks.applications.get("default")).id == webhooks.id
    page = await webhooks.applications.page(Window(2))
    assert ([a.uid for a in page.items], page.more) == (["default", "acme"], True)
    again, new = await webhooks.applications.ensure("Acme", uid="acme")
    assert (again, new) == (found, False)
    for call in (
        lambda: webhooks.applications.delete("default"),
        lambda: webhooks.applications.update("default", uid="other"),
        lambda: webhooks.applications.update("acme", colour="red"),
        lambda: webhooks.applications.create("x", uid="app_x"),
        lambda: webhooks.applications.create("x", uid="a b"),
        lambda: webhooks.applications.create(""),
        lambda: webhooks.applications.create("x", metadata={"a": 1}),
        lambda: webhooks.applications.create("x", rate_limit=0),
    ):
        with pytest.raises(InvalidInput):
            await call()
    with pytest.raises(AlreadyExists):
        await webhooks.applications.create("x", uid="acme")
    changed = await webhooks.applications.update("acme", name="ACME", metadata={"plan": "pro"})
    assert (changed.name, changed.metadata, changed.uid) == ("ACME", {"plan": "pro"}, "acme")


async def test_a_deleted_application_is_gone(two, receiver):
    """At once: its endpoints get nothing more, its uid is free, and what it left is removed."""
    webhooks, acme, globex = await two()
    await acme.create_endpoint(receiver.url, secret=SECRET)
    await (await acme.trigger("order.paid", {})).delivered()
    await webhooks.applications.delete("acme")
    with pytest.raises(ApplicationNotFound, match="'acme'"):
        await webhooks.for_application("acme")
    with pytest.raises(ApplicationNotFound):
        await webhooks.applications.delete("acme")
    await acme.trigger("order.paid", {})  # somebody still had it at hand
    assert (await webhooks.applications.create("Acme", uid="acme")).id != acme.id
    await globex.create_endpoint(receiver.url, secret=SECRET)
    await (await globex.trigger("order.paid", {})).delivered()
    assert receiver.count == 2
    store = webhooks._runtime.engine.store
    await webhooks._ask(lambda e, _: e.store.prune(e.clock.now()))
    assert await webhooks._ask(lambda e, _: store.applications.purge()) == 0
    assert (await acme.messages()).items == []
    assert len((await globex.messages()).items) == 1


async def test_a_body_of_ones_own_is_sent_byte_for_byte(two, receiver):
    """Signed as it is, spaces, escapes and all."""
    _, acme, _ = await two()
    await acme.create_endpoint(receiver.url, secret=SECRET)
    body = b'{ "n": 1.0, "big": 12345678901234567890123,\n "s": "\\u00e4" }'
    receipt = await acme.publish("order.paid", body, channels=["c"], tags=["t"], event_id="e")
    await receipt.delivered()
    [received] = await receiver.arrived(1)
    assert received.body == body
    message = await acme.message("e")
    assert (message.body, message.channels, message.tags) == (body, ("c",), ("t",))
    for bad, error in (
        (b"", InvalidPayload),
        (b"[1]", InvalidPayload),
        (b"{", InvalidPayload),
        (b'{"a": NaN}', InvalidPayload),
        (b'{"a": "%s"}' % (b"x" * (1 << 20)), PayloadTooLarge),
    ):
        with pytest.raises(error):
            await acme.publish("order.paid", bad)
    for options in (
        {"channels": "c"},
        {"channels": [f"c{n}" for n in range(6)]},
        {"tags": ["a b"]},
        {"event_id": ""},
    ):
        with pytest.raises(InvalidInput):
            await acme.publish("order.paid", b"{}", **options)


async def test_repeats_are_told_apart_by_application(two):
    """The same idempotency key of two applications is two keys."""
    _, acme, globex = await two(deliver=False)
    first = await acme.publish("a.b", b'{"n":1}', idempotency_key="k")
    assert (await acme.publish("a.b", b'{"n":1}', idempotency_key="k")).duplicate
    with pytest.raises(IdempotencyConflict):
        await acme.publish("a.b", b'{"n":2}', idempotency_key="k")
    other = await globex.publish("a.b", b'{"n":1}', idempotency_key="k")
    assert not other.duplicate
    assert other.message_id != first.message_id


async def test_channels(two, receiver):
    """An endpoint with channels gets what is sent to one of them; one without gets everything."""
    _, acme, _ = await two()
    red = await acme.create_endpoint(receiver.url, secret=SECRET, channels=["red", "green"])
    everything = await acme.create_endpoint(receiver.url, secret=SECRET)
    for channels, expected in (
        ([], {everything.id}),
        (["blue"], {everything.id}),
        (["blue", "red"], {everything.id, red.id}),
    ):
        receipt = await acme.trigger("a.b", {}, channels=channels)
        assert {s.endpoint_id for s in await receipt.delivered()} == expected


async def test_an_endpoint_is_changed(two, receiver):
    """What is named changes, at once; what is wrong is refused and changes nothing."""
    _, acme, _ = await two()
    made = await acme.create_endpoint(
        receiver.url, ["a.b"], headers={"X-A": "1"}, uid="main", metadata={"k": "v"}
    )
    assert made.secret.startswith("whsec_")
    changed = await acme.update_endpoint("main", events=["c.*"], headers={"X-B": "2"}, uid="new")
    assert (changed.events, changed.headers, changed.uid) == (("c.*",), {"X-B": "2"}, "new")
    assert (changed.metadata, changed.secret, changed.id) == ({"k": "v"}, made.secret, made.id)
    receiver.secret = None
    await (await acme.trigger("c.d", {})).delivered()
    [received] = await receiver.arrived(1)
    assert received.headers["X-B"] == "2"
    for changes, error in (
        ({"url": "http://10.0.0.1/"}, BlockedDestination),
        ({"headers": {"Host": "x"}}, InvalidHeader),
        ({"timeout": 31}, InvalidInput),
        ({"uid": "ep_x"}, InvalidInput),
        ({"events": ["a b"]}, InvalidInput),
        ({"secret": "x"}, InvalidInput),
        ({"colour": "red"}, InvalidInput),
        ({"oauth2": {"token_url": "http://10.0.0.1/", "client_id": "a"}}, InvalidInput),
        ({"signatures": ["ed25519"]}, InvalidInput),
    ):
        with pytest.raises(error):
            await acme.update_endpoint("new", description="never", **changes)
    assert (await acme.endpoint("new")).description == ""
    emptied = await acme.update_endpoint("new", headers=None, metadata=None, channels=None)
    assert (emptied.headers, emptied.metadata, emptied.channels) == ({}, {}, ())


async def test_pause_and_resume(two, receiver):
    """What is published meanwhile is held, seen as such, and sent afterwards."""
    _, acme, _ = await two()
    made = await acme.create_endpoint(receiver.url, secret=SECRET)
    await acme.pause(made)
    assert (await acme.endpoint(made.id)).disabled_reason == "paused"
    receipt = await acme.trigger("a.b", {})
    await acme.send_test(made)

    async def held():
        return (await acme.endpoint_health(made)).held

    while await held() < 2:
        pass
    [(endpoint, status)] = await acme.destinations(receipt.message_id)
    assert (endpoint.id, status.state) == (made.id, DeliveryState.HELD)
    assert await acme.resume(made) == 2
    assert (await receipt.delivered())[0].state is DeliveryState.SUCCEEDED
    await receiver.arrived(2)
    updated = await acme.update_endpoint(made, disabled=True)
    assert updated.disabled
    assert not (await acme.update_endpoint(made, disabled=False)).disabled


async def test_a_deleted_endpoint_gets_nothing_more(two, receiver):
    """Its retries are canceled, and what was sent stays in the log."""
    _, acme, _ = await two(retry_schedule=(0, 3600))
    made = await acme.create_endpoint(receiver.url, secret=SECRET)
    receiver.answer(500)
    receipt = await acme.trigger("a.b", {})
    await receiver.arrived(1)
    while not (page := await acme.attempts_of(receipt.message_id)).items:
        pass
    await acme.delete_endpoint(made)
    assert await acme.endpoints() == []
    assert await acme.destinations(receipt.message_id) == []
    [same] = (await acme.attempts_of(receipt.message_id)).items
    assert same == page.items[0]
    assert receiver.count == 1


async def test_looking_back(two, receiver):
    """Messages and attempts by what they were, and single ones, and their answers erased."""
    _, acme, _ = await two()
    made = await acme.create_endpoint(receiver.url, ["a.*"], secret=SECRET)
    first = await acme.publish("a.b", b'{"name":"Ada"}', tags=["vip"])
    second = await acme.publish("c.d", b'{"name":"Bob"}')
    await first.delivered()
    await second.delivered()
    for wanted, expected in (
        (Filter(), [second, first]),
        (Filter(text="Ada"), [first]),
        (Filter(tag="vip"), [first]),
        (Filter(event_types=["c.d"]), [second]),
    ):
        assert [m.id for m in (await acme.messages(wanted)).items] == [
            r.message_id for r in expected
        ]
    [at] = (await acme.attempts_at(made)).items
    one = await acme.attempt(first.message_id, at.attempt.id)
    assert one == at
    assert (one.attempt.trigger, one.message.body) == ("scheduled", b'{"name":"Ada"}')
    [sent] = (await acme.attempted(made)).items
    assert (sent.message.id, sent.state) == (first.message_id, DeliveryState.SUCCEEDED)
    assert (await acme.endpoint_stats(made)).succeeded == 1
    await acme.erase_answer(first.message_id, at.attempt.id)
    erased = await acme.attempt(first.message_id, at.attempt.id)
    assert (erased.attempt.response_headers, erased.attempt.status) == ((), 200)
    for call in (
        lambda: acme.attempt(first.message_id, "atmpt_" + "0" * 27),
        lambda: acme.attempt(second.message_id, at.attempt.id),
        lambda: acme.erase_answer(first.message_id, "nonsense"),
    ):
        with pytest.raises(AttemptNotFound):
            await call()


async def test_replays_of_all_applications(two, receiver):
    """Are listed together for the operator, each with its own to itself."""
    webhooks, acme, globex = await two()
    since = datetime.now(UTC) - timedelta(hours=1)
    jobs = []
    for app in (acme, globex):
        made = await app.create_endpoint(receiver.url, secret=SECRET)
        jobs.append(await app.replay(made.id, since=since))
    assert [j.id for j in (await webhooks.all_jobs()).items] == [j.id for j in jobs]
    found, owner = await webhooks.any_job(jobs[1].id)
    assert (found.id, owner.id) == (jobs[1].id, globex.id)
    with pytest.raises(JobNotFound):
        await webhooks.any_job("job_x")


async def test_event_types(two):
    """Made, changed, archived, brought back, forgotten."""
    webhooks, _, _ = await two(deliver=False)
    types = webhooks.event_types
    made = await types.create("a.b", "Something", schemas={"1": {"type": "object"}})
    assert await types.get("a.b") == made
    with pytest.raises(AlreadyExists):
        await types.create("a.b")
    changed = await types.update("a.b", deprecated=True, feature_flags=["beta"])
    assert (changed.deprecated, changed.feature_flags, changed.description) == (
        True,
        ("beta",),
        "Something",
    )
    await types.delete("a.b")
    assert (await types.page()).items == []
    assert [t.name for t in (await types.page(archived=True)).items] == ["a.b"]
    assert (await types.create("a.b", "Again")).description == "Again"
    await types.delete("a.b", expunge=True)
    for call in (types.get, types.delete, types.update):
        with pytest.raises(LookupError, match="no event type"):
            await call("a.b")
    with pytest.raises(InvalidInput, match="name"):
        await types.create("a b")
