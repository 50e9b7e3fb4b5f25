"""The guard at work: what a name says later, in part or slowly, decides nothing."""

import sqlite3
import threading

import pytest
from tests.integration.support import Sending
from typer.testing import CliRunner

from hookline import DeliveryState
from hookline._domain.address import Policy
from hookline._domain.delivery import Failure
from hookline._sending import guard
from hookline.cli import app
from hookline.errors import BlockedDestination, InvalidWebhooksFile
from hookline.testing import Receiver

NAME = "hooks.example.com"


class Names:
    """A resolver that says what it is told: each answer once, the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, host):
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def sending():
    """Return a maker of senders, stopped at the end."""
    made = []

    def make(*answers):
        made.append(Sending(lookup=Names(*answers) if isinstance(answers[0], list) else answers[0]))
        return made[-1]

    yield make
    for each in made:
        each.sender.stop()


def url_of(receiver, host=NAME):
    """The receiver's URL under a name that only the resolver of the test knows."""
    return receiver.url.replace("127.0.0.1", host)


# names ------------------------------------------------------------------------------------------


def test_the_checked_address_is_dialled(sending, receiver):
    """The request goes to the address that was checked, with the name in `Host`."""
    outcome = sending(["127.0.0.1"]).send(url_of(receiver))
    assert outcome.ok
    assert outcome.peer == "127.0.0.1"
    [received] = receiver.received
    assert received.headers["Host"].startswith(NAME + ":")


def test_one_look_up_serves_many_requests(receiver):
    """What was looked up is used again, also by those that waited for it."""
    names = Names(["127.0.0.1"])
    sending = Sending(lookup=names)
    try:
        for n in range(20):
            sending.start(url_of(receiver), tag=n)
        assert all(sending.take()[1].ok for _ in range(20))
    finally:
        sending.sender.stop()
    assert names.asked == [NAME]


@pytest.mark.parametrize(
    "answer", [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["127.0.0.1", "::ffff:a00:1"]]
)
def test_one_bad_address_refuses_all(sending, receiver, answer):
    """A name that leads to a good and a bad address leads nowhere."""
    outcome = sending(answer).send(url_of(receiver))
    assert outcome.failure is Failure.BLOCKED
    assert outcome.detail.startswith("blocked_")
    assert receiver.count == 0


def test_a_name_that_is_bound_anew(sending, receiver, monkeypatch):
    """Good when it was looked up, bad a moment later: refused as soon as it is looked up again."""
    monkeypatch.setattr(guard, "FRESH", 0)
    one = sending(["127.0.0.1"], ["10.0.0.1"])
    assert one.send(url_of(receiver)).ok
    assert one.send(url_of(receiver)).failure is Failure.BLOCKED
    assert receiver.count == 1


def test_a_kept_connection_does_not_outlive_its_address(sending, monkeypatch):
    """When the name leads elsewhere, so does the next request; the old connection is still open."""
    monkeypatch.setattr(guard, "FRESH", 0)
    with (
        Receiver() as old,
        Receiver(host="127.0.0.2", port=int(old.base.rpartition(":")[2])) as new,
    ):
        one = sending(["127.0.0.1"], ["127.0.0.2"])
        assert [one.send(url_of(old)).peer for _ in range(2)] == ["127.0.0.1", "127.0.0.2"]
        assert (old.count, new.count) == (1, 1)


def test_libcurl_is_not_believed(sending, receiver, monkeypatch):
    """A socket for any other address than the checked one is not even opened."""
    monkeypatch.setattr(guard.Way, "dial", lambda _way, _number: "::127.0.0.1:")
    outcome = sending(["127.0.0.2"]).send(url_of(receiver))
    assert outcome.failure is Failure.BLOCKED
    assert outcome.detail == "127.0.0.1 is not the address that was checked"
    assert receiver.count == 0


def test_the_next_address_is_dialled_when_nobody_answers(sending, receiver):
    """One dead address of several costs a moment, not the attempt; there is one outcome."""
    one = sending(["127.0.0.3", "127.0.0.4", "127.0.0.1"])
    outcome = one.send(url_of(receiver))
    assert outcome.ok
    assert outcome.peer == "127.0.0.1"
    assert one.outcomes.empty()
    assert sending(["127.0.0.3", "127.0.0.4"]).send(url_of(receiver)).failure is Failure.CONNECT


def test_a_policy_is_no_other_endpoints(sending, receiver):
    """A connection that one endpoint may use does not serve another that may not."""
    one = sending(["127.0.0.1"])
    assert one.send(url_of(receiver)).ok
    refused = one.send(url_of(receiver), policy=Policy.of(http=True))
    assert refused.failure is Failure.BLOCKED
    assert receiver.count == 1


def test_a_slow_name_keeps_nobody_waiting(receiver):
    """A name server that does not answer costs its own requests their connect timeout."""
    release = threading.Event()

    def slow(host):
        if host == NAME:
            release.wait(10)
        return ["127.0.0.1"]

    sending = Sending(lookup=slow)
    try:
        sending.start(url_of(receiver), tag="slow", connect=0.3)
        sending.start(url_of(receiver, "other.example.com"), tag="quick")
        assert sending.take()[0] == "quick"
        tag, outcome = sending.take()
        assert (tag, outcome.failure) == ("slow", Failure.DNS)
        assert outcome.detail == "no answer within 0.3 s"
        assert outcome.timings.dns == outcome.timings.total == 300_000
    finally:
        sending.sender.stop()
        release.set()  # and nobody is there any more to be told


def test_a_name_that_leads_nowhere(sending):
    """The resolver's words are the failure's; it is asked again later, not for every request."""

    def nowhere(_):
        raise OSError(-2, "Name or service not known")

    outcome = sending(nowhere).send("https://hooks.example.com/")
    assert (outcome.failure, outcome.detail) == (Failure.DNS, "Name or service not known")


def test_a_resolver_that_breaks(sending):
    """Whatever is raised on the look-up's thread, the request gets its outcome."""

    def broken(_):
        raise RuntimeError("out of order")

    outcome = sending(broken).send("https://hooks.example.com/")
    assert (outcome.failure, outcome.detail) == (Failure.DNS, "out of order")


# the whole library ------------------------------------------------------------------------------


def test_the_door_is_guarded(make_webhooks):
    """What may not be sent to is refused when it is registered, with what to do about it."""
    webhooks = make_webhooks(development=False)
    with pytest.raises(
        BlockedDestination, match=r"private network 10\.0\.0\.0/8\. .*allowed_networks"
    ) as told:
        webhooks.register("https://10.0.0.1/hook", ["*"])
    assert told.value.verdict.code == "blocked_address"
    with pytest.raises(BlockedDestination, match="HOOKLINE_DEVELOPMENT=1"):
        webhooks.register("http://127.0.0.1:9000/hook", ["*"])
    webhooks.register("https://10.0.0.1/hook", ["*"], allowed_networks=["10.0.0.0/8"])
    make_webhooks(development=False, allowed_networks="10.0.0.0/8, 192.168.0.0/16").register(
        "http://192.168.0.1/hook", ["*"]
    )


def test_the_file_is_guarded(make_webhooks, tmp_path):
    """So is each entry of the webhooks file, with its position; it may name its own networks."""
    path = tmp_path / "webhooks.json"
    webhooks = make_webhooks(development=False)
    path.write_text('{"webhooks": [{"url": "https://10.0.0.1/", "events": ["*"]}]}')
    with pytest.raises(InvalidWebhooksFile, match=r"webhooks\[0\]\.url: blocked_address"):
        webhooks.init(path)
    allowed = '"allowed_networks": ["10.0.0.0/8"]'
    path.write_text(f'{{"webhooks": [{{"url": "https://10.0.0.1/", "events": ["*"], {allowed}}}]}}')
    webhooks.init(path)


async def test_an_endpoints_own_network(on_each_database, receiver, monkeypatch):
    """The option is stored with the endpoint, and holds for it alone."""
    monkeypatch.setattr(guard, "lookup", Names(["127.0.0.1"]))
    webhooks = on_each_database(development=False, retry_schedule=[0])
    own = {"allowed_networks": ["127.0.0.0/8"]}
    webhooks.register(receiver.url, ["a.b"], **own)
    webhooks.register("https://other.example.com/", ["a.b"])
    await webhooks.start()
    receipt = await webhooks.trigger("a.b", {})
    found = {each.url: each.state for each in await receipt.delivered(timeout=10)}
    assert found == {
        receiver.url: DeliveryState.SUCCEEDED,
        "https://other.example.com/": DeliveryState.EXHAUSTED,
    }
    stored = {each.url: each.allowed_networks for each in await webhooks.endpoints()}
    assert stored[receiver.url] == ("127.0.0.0/8",)


async def test_a_blocked_attempt_says_why(make_webhooks, monkeypatch, told):
    """The log has the class and the verdict, and the operator's line both in words."""
    monkeypatch.setattr(guard, "lookup", Names(["169.254.169.254"]))
    webhooks = make_webhooks(development=False, retry_schedule=[0])
    webhooks.register("https://hooks.example.com/", ["a.b"])
    receipt = await webhooks.trigger("a.b", {})
    [status] = await receipt.delivered(timeout=10)
    assert status.state is DeliveryState.EXHAUSTED
    [attempt] = await webhooks.attempts(receipt.message_id)
    assert attempt.failure == "blocked_destination"
    verdict = "blocked_address: 169.254.169.254 is in link-local, cloud metadata 169.254.0.0/16"
    assert attempt.detail == verdict
    [line] = told.containing("Error sending webhook to https://hooks.example.com/: ")
    assert line.endswith(f"Destination blocked ({verdict})")


async def test_a_redirect_is_not_followed(make_webhooks, receiver):
    """A receiver cannot send us to the metadata address."""
    receiver.answer(302, headers={"Location": "http://169.254.169.254/latest/meta-data/"})
    webhooks = make_webhooks(retry_schedule=[0])
    webhooks.register(receiver.url, ["a.b"])
    receipt = await webhooks.trigger("a.b", {})
    await receipt.delivered(timeout=10)
    [attempt] = await webhooks.attempts(receipt.message_id)
    assert (attempt.failure, attempt.status) == ("redirect", 302)
    assert receiver.count == 1


async def test_an_endpoint_edited_between_attempts(make_webhooks, receiver, database_file):
    """A URL that was changed behind our back is judged at the next attempt."""
    receiver.answer(503)
    webhooks = make_webhooks(retry_schedule=[0, 0.3])
    webhooks.register(receiver.url, ["a.b"])
    await webhooks.start()
    receipt = await webhooks.trigger("a.b", {})
    await receiver.arrived(1)
    with sqlite3.connect(database_file) as connection:
        connection.execute(
            "UPDATE hookline_endpoint SET url = 'https://10.0.0.1/', revision = revision + 1"
        )
        connection.execute("UPDATE hookline_application SET revision = revision + 1")
    connection.close()
    await receipt.delivered(timeout=10)
    first, second = await webhooks.attempts(receipt.message_id)
    assert (first.failure, second.failure) == ("status", "blocked_destination")
    assert second.url == "https://10.0.0.1/"


async def test_the_doctor_names_what_is_blocked(make_webhooks):
    """An endpoint that was allowed once and is not any more is found without waiting for one."""
    webhooks = make_webhooks()
    webhooks.register("http://127.0.0.1:1/hook", ["*"])
    await webhooks.start()
    await webhooks.stop()
    [found] = [f for f in await make_webhooks(development=False).diagnose() if f.check == "blocked"]
    assert found.level == "problem"
    assert found.items == ("http://127.0.0.1:1/hook: blocked_scheme: plain http; use https",)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["https://10.1.2.3/x"], 1, "✗ blocked_address: private network 10.0.0.0/8"),
        (["https://10.1.2.3/x", "--allow", "10.0.0.0/8"], 0, "✓ allowed: 10.1.2.3, port 443"),
        (["http://127.0.0.1:9/x"], 1, "✗ blocked_scheme: plain http"),
        (["http://127.0.0.1:9/x", "--development"], 0, "✓ allowed: 127.0.0.1, port 9"),
        (["https://2130706433/"], 2, "is a number in an unusual spelling"),
        (["https://10.0.0.1/", "--allow", "ten"], 2, "allowed_networks: 'ten' is not a network"),
        (["https://nowhere.example.com/"], 3, "? nowhere.example.com cannot be resolved: "),
    ],
)
def test_check_url(arguments, code, words, monkeypatch, tmp_path):
    """`hookline check-url` says what would happen, and why."""

    def nowhere(_):
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(guard, "lookup", nowhere)
    monkeypatch.delenv("HOOKLINE_DEVELOPMENT")
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(app, ["check-url", *arguments])
    assert (ended.exit_code, words in ended.stdout) == (code, True), ended.stdout
