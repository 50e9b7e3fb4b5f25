"""The receiving doors: one behaviour under each framework, over real HTTP."""

import json
import threading
import time

import httpx
import pytest
from tests.receivers import servers

from hookline._domain.signature import Signer, guide_signature
from hookline.errors import InvalidSecret
from hookline.once import InMemory
from hookline.receiver import Answer

SECRET = "your-secret-key"
BODY = '{"event":"customer.created","data":{"name":"张三","balance":1.0,"url":"a\\/b"}}'.encode()
CHALLENGE = b'{"event":"webhook.challenge","data":{"challenge":"abc \\u00e9"},"timestamp":"x"}'


@pytest.fixture(params=servers.SYNC + servers.ASYNC, ids=servers.named)
def door(request):
    """Each framework in turn."""
    return request.param


@pytest.fixture
def client():
    # A server may close the connection after an error, just as the next request goes out on it.
    fresh = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(trust_env=False, timeout=15, limits=fresh) as client:
        yield client


class Handler:
    """A handler that remembers its events, and does what it is told for each."""

    def __init__(self, *outcomes):
        self.events = []
        self.outcomes = list(outcomes)

    def __call__(self, event):
        self.events.append(event)
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome() if callable(outcome) else outcome


def signed(body=BODY, secret=SECRET, message_id="msg_1"):
    now = int(time.time())
    signer = Signer([secret])
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": signer.standard(message_id, now, body),
        "X-Webhook-Signature": signer.guide(body),
    }


def test_a_signed_request_reaches_the_handler(door, client):
    """The handler gets the event; the answer is a success; the raw bytes are what was sent."""
    handler = Handler()
    with door(handler, secret=SECRET) as url:
        assert client.post(url, content=BODY, headers=signed()).is_success
    [event] = handler.events
    assert (event.type, event.id, event.scheme) == ("customer.created", "msg_1", "standard")
    assert event.data["name"] == "张三"
    assert event.body == BODY


def test_the_guides_header_is_enough_unless_told_otherwise(door, client):
    """`scheme` is that of `verify`."""
    headers = {"X-Webhook-Signature": guide_signature(SECRET, BODY)}
    with door(Handler(), secret=SECRET) as url:
        assert client.post(url, content=BODY, headers=headers).is_success
    with door(Handler(), secret=SECRET, scheme="standard") as url:
        assert client.post(url, content=BODY, headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (BODY, {}, 401, "no X-Webhook-Signature"),
        (BODY, signed(secret="wrong"), 401, "does not fit"),
        (BODY + b" ", signed(), 401, "does not fit"),
        (json.dumps(json.loads(BODY)).encode(), signed(), 401, "raw bytes"),
        (BODY, signed() | {"webhook-timestamp": "x"}, 401, "whole Unix seconds"),
        (BODY, signed() | {"webhook-timestamp": "1000000000"}, 401, "does not fit"),
        (b"not json", None, 400, "not JSON"),
        (b"", {}, 401, "no X-Webhook-Signature"),
    ],
)
def test_refusals_say_why(door, client, body, headers, status, words):
    """What cannot be verified is a 4xx with the reason, and the handler does not run."""
    handler = Handler()
    with door(handler, secret=SECRET) as url:
        headers = signed(body) if headers is None else headers  # not older than the test
        answer = client.post(url, content=body, headers=headers)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert answer.headers["content-type"].startswith("application/json")
    assert SECRET not in answer.text
    assert handler.events == []


def test_old_requests_are_refused(door, client):
    """What was signed more than 300 seconds ago is refused, unless told otherwise."""
    then = int(time.time()) - 400
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(then),
        "webhook-signature": Signer([SECRET]).standard("msg_1", then, BODY),
    }
    with door(Handler(), secret=SECRET) as url:
        assert client.post(url, content=BODY, headers=headers).status_code == 401
    with door(Handler(), secret=SECRET, tolerance=500) as url:
        assert client.post(url, content=BODY, headers=headers).is_success


def test_large_bodies_are_413(door, client):
    """A body over the limit is refused by its announced length; one at the limit is not."""
    handler = Handler()
    body = b" " * 100 + BODY
    with door(handler, secret=SECRET, limit=len(body)) as url:
        assert client.post(url, content=body, headers=signed(body)).is_success
        larger = body + b" "
        assert client.post(url, content=larger, headers=signed(larger)).status_code == 413
    assert len(handler.events) == 1


@pytest.mark.parametrize("door", servers.CHUNKED, ids=servers.named)
def test_large_bodies_of_unknown_length_are_413(door, client):
    """A body in chunks is read up to the limit and no further."""
    handler = Handler()
    body = b" " * 200_000 + BODY
    with door(handler, secret=SECRET, limit=len(body)) as url:
        chunks = (body[at : at + 10_000] for at in range(0, len(body), 10_000))
        assert client.post(url, content=chunks, headers=signed(body)).is_success
        chunks = (b" " * 10_000 for _ in range(40))
        assert client.post(url, content=chunks, headers=signed(body)).status_code == 413
    assert len(handler.events) == 1


def test_only_post(door, client):
    """Other methods are answered with 405."""
    with door(Handler(), secret=SECRET) as url:
        answer = client.get(url)
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("result", [202, 503, Answer(418, b"tea", {"webhook-delivery": "disable"})])
def test_a_handler_may_choose_the_answer(door, client, result):
    """A status or an Answer of the handler is what the sender gets."""
    if door in (servers.fastapi, servers.fastapi_plain) and isinstance(result, int):
        result = Answer(result)  # there, a number is JSON
    with door(Handler(result), secret=SECRET) as url:
        answer = client.post(url, content=BODY, headers=signed())
    expected = result if isinstance(result, Answer) else Answer(result)
    assert (answer.status_code, answer.content) == (expected.status, expected.body)
    assert answer.headers.get("webhook-delivery") == expected.headers.get("webhook-delivery")


def test_what_a_handler_raises_is_a_500(door, client):
    """An error of the handler's own is the framework's business: a 500."""
    with door(Handler(RuntimeError("boom")), secret=SECRET) as url:
        assert client.post(url, content=BODY, headers=signed()).status_code == 500


# Handshakes --------------------------------------------------------------------------------------


def test_the_ownership_challenge_is_answered(door, client):
    """A signed challenge comes back as JSON, without the handler; an unsigned one does not."""
    handler = Handler()
    with door(handler, secret=SECRET, once=InMemory()) as url:
        for _ in range(2):
            answer = client.post(url, content=CHALLENGE, headers=signed(CHALLENGE))
            assert (answer.status_code, answer.json()) == (200, {"challenge": "abc é"})
            assert answer.headers["content-type"] == "application/json"
        assert client.post(url, content=CHALLENGE, headers={}).status_code == 401
        assert "abc" not in client.post(url, content=CHALLENGE, headers=signed()).text
        other = b'{"event":"webhook.challenge","data":{"challenge":7}}'
        assert client.post(url, content=other, headers=signed(other)).is_success
    assert [event.data for event in handler.events] == [{"challenge": 7}]


def test_the_cloudevents_handshake_is_granted_to_listed_origins(door, client):
    """OPTIONS names the origin and the rate when the origin is listed, and nothing otherwise."""

    def ask(url, origin="Sender.example"):
        return client.options(url, headers={"WebHook-Request-Origin": origin} if origin else {})

    with door(Handler(), secret=SECRET, origins=["sender.example"], rate=120) as url:
        granted = ask(url)
        assert granted.status_code == 200
        assert granted.headers["webhook-allowed-origin"] == "Sender.example"
        assert granted.headers["webhook-allowed-rate"] == "120"
        assert "POST" in granted.headers["allow"]
        for refused in (ask(url, "other.example"), ask(url, None)):
            assert refused.status_code in (400, 403)
            assert "webhook-allowed-origin" not in refused.headers
        assert client.post(url, content=BODY, headers=signed()).is_success
    with door(Handler(), secret=SECRET, origins="*") as url:
        assert ask(url).headers["webhook-allowed-rate"] == "*"
    with door(Handler(), secret=SECRET) as url:
        assert "webhook-allowed-origin" not in ask(url).headers


# Once per message --------------------------------------------------------------------------------


def test_a_copy_of_what_was_handled_is_a_success_without_the_handler(door, client):
    """The second copy is answered 204; another message runs."""
    handler = Handler()
    with door(handler, secret=SECRET, once=InMemory()) as url:
        assert client.post(url, content=BODY, headers=signed()).is_success
        assert client.post(url, content=BODY, headers=signed()).status_code == 204
        assert client.post(url, content=BODY, headers=signed(message_id="msg_2")).is_success
    assert [event.id for event in handler.events] == ["msg_1", "msg_2"]


def test_what_failed_runs_again(door, client):
    """After an error, or an answer that is no 2xx, the retry runs the handler."""
    handler = Handler(RuntimeError("boom"), Answer(503), Answer(202))
    with door(handler, secret=SECRET, once=InMemory()) as url:
        statuses = [client.post(url, content=BODY, headers=signed()).status_code for _ in range(4)]
    assert statuses == [500, 503, 202, 204]
    assert len(handler.events) == 3


def test_two_copies_at_once_run_once(door, client):
    """While the first one runs, the second is told to come again."""
    inside, go = threading.Event(), threading.Event()

    def slow():
        inside.set()
        assert go.wait(10)

    handler = Handler(slow)
    first = []
    with door(handler, secret=SECRET, once=InMemory()) as url:

        def send():
            with httpx.Client(trust_env=False, timeout=15) as other:
                first.append(other.post(url, content=BODY, headers=signed()).status_code)

        thread = threading.Thread(target=send)
        thread.start()
        assert inside.wait(10)
        assert client.post(url, content=BODY, headers=signed()).status_code == 409
        go.set()
        thread.join()
        assert client.post(url, content=BODY, headers=signed()).status_code == 204
    assert first[0] in (200, 204)
    assert len(handler.events) == 1


def test_messages_without_an_id_always_run(door, client):
    """A sender that gives no id gets no memory."""
    handler = Handler()
    headers = {"X-Webhook-Signature": guide_signature(SECRET, BODY)}
    with door(handler, secret=SECRET, once=InMemory()) as url:
        for _ in range(2):
            assert client.post(url, content=BODY, headers=headers).is_success
    assert len(handler.events) == 2


class Broken:
    """A memory that is out of reach from some call on."""

    asynchronous = False
    waits = False

    def __init__(self, *broken):
        self.broken = broken
        self.memory = InMemory()

    def _ask(self, verb, *args):
        if verb in self.broken:
            raise ConnectionError("no memory")
        return getattr(self.memory, verb)(*args)

    def claim(self, *args):
        return self._ask("claim", *args)

    def finish(self, *args):
        return self._ask("finish", *args)

    def release(self, *args):
        return self._ask("release", *args)


def test_without_its_memory_nothing_runs(door, client, caplog):
    """When it cannot be asked, the sender is to come again, and the log has the reason."""
    handler = Handler()
    with door(handler, secret=SECRET, once=Broken("claim")) as url:
        assert client.post(url, content=BODY, headers=signed()).status_code == 503
    assert handler.events == []
    assert "no memory" in caplog.text


def test_what_was_done_stays_done_though_it_cannot_be_remembered(door, client, caplog):
    """When it breaks after the handler, the handler's own outcome is the answer."""
    with door(Handler(), secret=SECRET, once=Broken("finish")) as url:
        assert client.post(url, content=BODY, headers=signed()).is_success
    assert "cannot be remembered" in caplog.text
    with door(Handler(ValueError("mine")), secret=SECRET, once=Broken("release")) as url:
        assert client.post(url, content=BODY, headers=signed()).status_code == 500


# When the application is built -------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["", [], " padded ", "whsec_?", ["fine", ""]])
def test_an_unusable_secret_fails_when_the_application_is_built(door, secret):
    """A missing or malformed secret stops the start-up, not each request."""
    with pytest.raises(InvalidSecret):
        door(Handler(), secret=secret)


def test_an_unknown_scheme_fails_when_the_application_is_built(door):
    """A misspelt scheme is an error of the code."""
    with pytest.raises(ValueError, match="scheme"):
        door(Handler(), secret=SECRET, scheme="svix")


@pytest.mark.parametrize("door", servers.SYNC, ids=servers.named)
def test_an_asynchronous_memory_needs_an_asynchronous_handler(door):
    """A door that cannot await says so at once."""
    memory = InMemory()
    memory.asynchronous = True
    with pytest.raises(TypeError, match="asynchronous"):
        door(Handler(), secret=SECRET, once=memory)
