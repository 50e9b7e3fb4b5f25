"""Looking at receivers: what each kind of them is told, and that nothing else comes of it."""

import json
import time

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from hookline._domain import receiver_check
from hookline._domain.receiver_check import ACCEPTS, DUPLICATE, MISSING, OLD, QUICK, WRONG
from hookline._domain.signature import guide_signature
from hookline._storage.schema import attempt, circuit, message
from hookline.cli import app
from hookline.errors import BlockedDestination, EndpointNotFound
from hookline.receiver import VerificationError, verify
from hookline.testing import Answer, Receiver

SECRET = "your-secret-key"


def by_check(checks):
    return {each.check: each for each in checks}


def verdicts(checks):
    return {each.check: each.verdict.value for each in checks}


def verifies(received):
    """Answer as a receiver should."""
    try:
        verify(received.body, received.headers, SECRET)
    except VerificationError:
        return 401
    return 200


def by_the_guide(received):
    """Look at `X-Webhook-Signature` only, as the guide's samples do."""
    given = received.headers.get("x-webhook-signature")
    return 200 if given == guide_signature(SECRET, received.body) else 401


def without_tolerance(received):
    """Check the Standard Webhooks signature, and take any time."""
    headers = {k: v for k, v in received.headers.items() if k.lower().startswith("webhook-")}
    try:
        verify(received.body, headers, SECRET, tolerance=10**9)
    except VerificationError:
        return 401
    return 200


class Once:
    """Verify, but answer 409 to what came before."""

    def __init__(self):
        self.seen = set()

    def __call__(self, received):
        status = verifies(received)
        if status == 200 and received.id in self.seen:
            return 409
        self.seen.add(received.id)
        return status


def throws(received):
    """Fail on a signature that does not fit, as the guide's Node sample does on a short one."""
    return 200 if verifies(received) == 200 else 500


def gone(received):
    return 200 if verifies(received) == 200 else 410


PASSED, FAILED, WARNING, NOT = "passed", "failed", "warning", "not_checked"
FINE = dict.fromkeys((ACCEPTS, DUPLICATE, WRONG, MISSING, OLD, QUICK), PASSED)
REFUSALS = (WRONG, MISSING, OLD)
CASES = {
    "verifies": (verifies, {}),
    "the guide's": (by_the_guide, {OLD: NOT}),
    "any time": (without_tolerance, {OLD: FAILED}),
    "anything goes": (lambda _: 204, {WRONG: FAILED, MISSING: FAILED, OLD: NOT}),
    "nothing goes": (
        lambda _: 401,
        {ACCEPTS: FAILED, **dict.fromkeys((DUPLICATE, *REFUSALS, QUICK), NOT)},
    ),
    "repeats are refused": (Once(), {DUPLICATE: FAILED}),
    "throws": (throws, dict.fromkeys(REFUSALS, FAILED)),
    "gone": (gone, dict.fromkeys(REFUSALS, WARNING)),
    "busy": (
        lambda r: 200 if verifies(r) == 200 else 429,
        dict.fromkeys(REFUSALS, NOT),
    ),
    "drops": (
        lambda r: Answer(drop=verifies(r) != 200),
        dict.fromkeys(REFUSALS, FAILED),
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_kinds_of_receivers(make_webhooks, receiver, case):
    """Each kind of receiver gets the verdicts it deserves, and advice where it needs some."""
    answer, expected = CASES[case]
    receiver.answer(answer)
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"], secret=SECRET, headers={"X-Tenant": "7"})
    checks = await webhooks.check_receiver(receiver.url)
    assert verdicts(checks) == FINE | expected
    assert [bool(c.advice) for c in checks] == [c.verdict in (FAILED, WARNING) for c in checks]
    for received in receiver.received:
        assert received.event == "webhook.test"
        assert received.json()["data"]["test"] is True
        assert received.headers["X-Tenant"] == "7"
    assert receiver.count <= 6


async def test_forgeries_look_alike(make_webhooks, receiver):
    """But for its signature nothing tells a forged request from a genuine one."""
    receiver.answer(verifies)
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"], secret=SECRET)
    await webhooks.check_receiver(receiver.url)
    genuine, again, tampered, unsigned, old = receiver.received
    assert (genuine.id, genuine.body[:40]) == (again.id, again.body[:40])
    assert len({each.id for each in receiver.received}) == 4
    assert set(tampered.headers) == set(old.headers) == set(genuine.headers)
    missing = {name.lower() for name in set(genuine.headers) - set(unsigned.headers)}
    assert missing == {"webhook-signature", "x-webhook-signature"}
    assert len({len(each.body) for each in receiver.received}) == 1


async def test_nothing_comes_of_it(on_each_database, database_url, receiver):
    """Nothing is stored or logged, and no circuit opens however often a receiver fails."""
    receiver.answer(500)
    webhooks = on_each_database(migrate="always")
    webhooks.register(receiver.url, ["*"], secret=SECRET)
    for _ in range(12):
        await webhooks.check_receiver(receiver.url)
    await webhooks.stop()
    driver = "sqlite" if database_url.startswith("sqlite") else None
    if driver is not None:
        engine = sa.create_engine(database_url)
        with engine.connect() as connection:
            for table in (message, attempt, circuit):
                assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
        engine.dispose()
    [finding] = [f for f in await webhooks.diagnose() if f.check == "circuits"]
    assert finding.level == "ok"


async def test_without_a_secret(make_webhooks, receiver):
    """Of an unsigned endpoint nothing is asked that has to do with signatures."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    checks = await webhooks.check_receiver(receiver.url)
    assert verdicts(checks) == FINE | dict.fromkeys(REFUSALS, NOT)
    assert "no secret" in by_check(checks)[WRONG].summary
    assert receiver.count == 2


async def test_a_slow_one(make_webhooks, receiver, monkeypatch):
    """One that takes its time is told to answer first and work afterwards."""
    monkeypatch.setattr(receiver_check, "SLOW", 50_000)
    receiver.answer(200, delay=0.1, times=1)
    receiver.answer(verifies)
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"], secret=SECRET)
    slow = by_check(await webhooks.check_receiver(receiver.url))[QUICK]
    assert (slow.verdict, slow.summary) == (WARNING, "took 0.1 s to answer")


async def test_one_that_is_not_there(make_webhooks, receiver):
    """A receiver that cannot be reached fails the first check, and says so at once."""
    receiver.close()
    began = time.monotonic()
    webhooks = make_webhooks()
    with Receiver() as elsewhere:
        url = elsewhere.url
    checks = await webhooks.check_receiver(url, secret=SECRET)
    assert checks[0].verdict == FAILED
    assert "Connection refused" in checks[0].summary
    assert "127.0.0.1" not in checks[0].summary
    assert time.monotonic() - began < 5


async def test_one_that_is_registered_nowhere(make_webhooks, receiver):
    """With a secret any URL can be checked, under the same guard; without, it has to be known."""
    receiver.answer(verifies)
    webhooks = make_webhooks()
    assert verdicts(await webhooks.check_receiver(receiver.url, secret=SECRET)) == FINE
    assert await webhooks.endpoints() == []
    with pytest.raises(EndpointNotFound):
        await webhooks.check_receiver(receiver.url)
    with pytest.raises(BlockedDestination):
        await webhooks.check_receiver("https://10.0.0.1/", secret=SECRET)


# The command -------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a runner of the command: `(exit status, output)`."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        ended = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["check-receiver", *arguments])
        return ended.exit_code, ended.output

    return run


def test_command(run, receiver, tmp_path):
    """It prints a line for each check, needs no database for a URL with a secret, and exits 0."""
    receiver.answer(verifies)
    code, output = run(receiver.url, "--secret", SECRET)
    assert code == 0, output
    for check in FINE:
        assert f"✓ {check}" in output
    assert list(tmp_path.iterdir()) == []


def test_command_with_failures(run, receiver):
    """A failed check has its advice beside it, and makes the exit status 2."""
    receiver.answer(200)
    code, output = run(receiver.url, "--secret", SECRET)
    assert code == 2
    assert "✗ refuses-wrong-signature" in output
    assert "→ verify the signature before anything else" in output
    assert "– refuses-old-timestamp" in output


def test_command_with_warnings(run, receiver):
    """Warnings alone are status 1."""
    receiver.answer(gone)
    assert run(receiver.url, "--secret", SECRET)[0] == 1


def test_command_as_json(run, receiver):
    """`--json` gives every check by name, for programs."""
    receiver.answer(verifies)
    code, output = run(receiver.url, "--secret", SECRET, "--json")
    checks = json.loads(output)["checks"]
    assert code == 0
    assert {c["check"]: c["verdict"] for c in checks} == FINE
    assert set(checks[0]) == {"check", "verdict", "summary", "advice"}


async def test_command_for_an_endpoint(run, make_webhooks, database_file, receiver):
    """A registered endpoint is named by URL or id, and its own secret is used."""
    import asyncio

    receiver.answer(verifies)
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"], secret=SECRET)
    endpoint = await webhooks.endpoint(receiver.url)
    await webhooks.stop()
    for name in (endpoint.url, endpoint.id):
        code, output = await asyncio.to_thread(
            run, name, "--database", f"sqlite:///{database_file}"
        )
        assert code == 0, output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["https://example.com/"], "no endpoints in this database"),
        (["https://10.0.0.1/", "--secret", "x"], "blocked_address"),
        (["nonsense", "--secret", "x"], "url:"),
    ],
)
def test_command_that_cannot_check(run, tmp_path, arguments, said):
    """What cannot be checked is status 3, with the reason; no database comes of it."""
    code, output = run(*arguments)
    assert code == 3
    assert said in output
    assert list(tmp_path.iterdir()) == []
