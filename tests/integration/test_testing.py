"""`hookline.testing.Receiver`: a real receiver that records, answers as told, and stops at once."""

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time

import httpx
import pytest

from hookline._domain.signature import Signer, guide_signature
from hookline.errors import InvalidSecret
from hookline.testing import Answer, ReceivedHeaders, Receiver
from hookline.testing._receiver import BODY_LIMIT

SECRET = "your-secret-key"
BODY = '{"event":"customer.created","data":{"name":"张三"}}'.encode()


@pytest.fixture
def client():
    with httpx.Client(trust_env=False) as client:
        yield client


def signed(body=BODY, attempt=1):
    now = int(time.time())
    signer = Signer([SECRET])
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": signer.standard("msg_1", now, body),
        "X-Webhook-Signature": signer.guide(body),
        "X-Webhook-Attempt": str(attempt),
    }


def test_what_arrives_is_recorded_and_verified(client):
    """A request is kept with everything it carried, and the verdict on its signature."""
    with Receiver(secret=SECRET) as receiver:
        assert client.post(f"{receiver.url}?x=1", content=BODY, headers=signed()).is_success
        (received,) = receiver.wait_for(1)
    assert (received.method, received.path) == ("POST", "/webhook?x=1")
    assert (received.event, received.id, received.attempt) == ("customer.created", "msg_1", 1)
    assert (received.verified, received.problem, received.answer) == (True, None, 200)
    assert received.body == BODY
    assert received.json()["data"] == {"name": "张三"}
    assert received.headers["X-WEBHOOK-ATTEMPT"] == "1"
    assert received.arrived_at.tzinfo is not None


@pytest.mark.parametrize(
    ("headers", "verified", "problem"),
    [
        ({}, False, "no X-Webhook-Signature"),
        (signed(b"{}"), False, "does not fit"),
        ({"X-Webhook-Signature": guide_signature(SECRET, BODY)}, True, None),
    ],
)
def test_verdicts_come_with_a_reason(client, headers, verified, problem):
    """An unverified request says why; the guide's header alone is enough."""
    with Receiver(secret=["new", SECRET]) as receiver:
        client.post(receiver.url, content=BODY, headers=headers)
        (received,) = receiver.received
    assert received.verified is verified
    assert problem is None or problem in received.problem


def test_without_a_secret_there_is_no_verdict(client):
    """A receiver that has no secret does not judge; one that cannot use its secret says so."""
    with Receiver() as receiver:
        client.post(receiver.url, content=BODY)
        assert receiver.received[0].verified is None
    with pytest.raises(InvalidSecret):
        Receiver(secret="")


def test_counted_answers_come_first_then_the_standing_one(client):
    """Answers with `times` are used up in order; after them the last one without it stands."""
    with Receiver() as receiver:
        receiver.answer(204).answer(503, times=2).answer(429, headers={"Retry-After": "7"}, times=1)
        answers = [client.post(receiver.url, content=BODY) for _ in range(5)]
        receiver.answer(200, body="好的")
        assert client.post(receiver.url, content=BODY).text == "好的"
        assert [each.answer for each in receiver.received] == [503, 503, 429, 204, 204, 200]
    assert [each.status_code for each in answers] == [503, 503, 429, 204, 204]
    assert answers[2].headers["Retry-After"] == "7"


def test_a_function_may_answer(client):
    """An answer can be computed from what arrived."""
    with Receiver() as receiver:
        receiver.answer(lambda received: 410 if received.path == "/gone" else Answer(202, b"ok"))
        assert client.post(f"{receiver.base}/gone", content=BODY).status_code == 410
        assert client.put(f"{receiver.base}/here", content=BODY).text == "ok"
        assert [each.answer for each in receiver.received] == [410, 202]


def test_a_function_may_hold_the_answer_back(client):
    """A request is visible while its answer is still being decided."""
    with Receiver() as receiver:
        released = threading.Event()
        receiver.answer(lambda _: 200 if released.wait(10) else 500)
        sending = threading.Thread(target=client.post, args=(receiver.url,))
        sending.start()
        assert receiver.wait_for(1)[0].answer is None
        released.set()
        sending.join()
        assert receiver.received[0].answer == 200


def test_errors_of_a_function_are_raised_in_the_test(client):
    """What a callable answer raises is answered with 500 and raised when the receiver closes."""

    def broken(_received):
        raise KeyError("oops")

    receiver = Receiver().answer(broken)
    with pytest.raises(KeyError, match="oops"), receiver:
        assert client.post(receiver.url).status_code == 500


def test_drop_resets_the_connection():
    """A dropped request gets no answer but a reset, and is recorded."""
    with Receiver() as receiver:
        receiver.answer(drop=True, times=1)
        port = int(receiver.base.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
        assert receiver.received[0].answer is None
        assert "dropped" in str(receiver.received[0])


def test_connections_are_kept_alive():
    """Several requests go over one connection."""
    with Receiver() as receiver:
        connection = http.client.HTTPConnection(receiver.base.removeprefix("http://"))
        for _ in range(3):
            connection.request("POST", "/", BODY)
            assert connection.getresponse().read() == b""
        connection.close()
        assert receiver.count == 3


def test_chunked_bodies_are_read(client):
    """A body in chunks arrives whole."""
    with Receiver() as receiver:
        client.post(receiver.url, content=iter([BODY[:20], BODY[20:]]))
        client.post(receiver.url, content=BODY)
        assert [each.body for each in receiver.received] == [BODY, BODY]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("Content-Length: x", 400),
        ("Content-Length: -1", 400),
        (f"Content-Length: {BODY_LIMIT + 1}", 413),
        ("Content-Length: " + "9" * 4000, 413),
        ("Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ("Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", 413),
    ],
)
def test_impossible_lengths_are_refused(headers, status):
    """A body whose length makes no sense is refused, and not recorded."""
    with Receiver() as receiver:
        port = int(receiver.base.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(f"POST / HTTP/1.1\r\n{headers}\r\n\r\n".encode())
            assert f" {status} ".encode() in connection.recv(100)
        assert receiver.received == []


def test_senders_that_give_up_are_no_errors():
    """A connection that ends in the middle of a body is forgotten."""
    with Receiver() as receiver:
        port = int(receiver.base.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n{")
        httpx.post(receiver.url, content=BODY, trust_env=False)
        assert [each.body for each in receiver.wait_for(1)] == [BODY]


def test_closing_cuts_delays_short_and_ends_every_thread(client):
    """close() returns at once, whatever is being waited for, and can be called twice."""
    before = threading.active_count()
    receiver = Receiver().start()
    receiver.answer(delay=60)

    def send():
        with contextlib.suppress(httpx.HTTPError):
            client.post(receiver.url, content=BODY, timeout=90)

    sending = threading.Thread(target=send)
    sending.start()
    receiver.wait_for(1)
    start = time.monotonic()
    receiver.close()
    receiver.close()
    sending.join()
    assert time.monotonic() - start < 2
    assert threading.active_count() == before


def test_waiting_in_vain_lists_what_came(client):
    """The assertion says how many were awaited, and shows each that arrived."""
    with Receiver(secret=SECRET) as receiver:
        receiver.answer(503)
        client.post(receiver.url, content=BODY, headers=signed(attempt=3))
        client.post(receiver.url, content=b"")
        with pytest.raises(AssertionError) as caught:
            receiver.wait_for(3, timeout=0.01)
    text = str(caught.value)
    assert "waited 0.01 s for 3 webhook(s), 2 arrived" in text
    assert "customer.created id=msg_1 attempt=3 verified, answered 503" in text
    assert "(no event) id=None attempt=None NOT verified" in text


def test_waiting_in_a_coroutine_leaves_the_loop_free():
    """`arrived` waits in a thread, so that the loop can send what is waited for."""

    async def go():
        with Receiver() as receiver:
            waiting = asyncio.create_task(receiver.arrived(2))
            async with httpx.AsyncClient(trust_env=False) as client:
                await asyncio.gather(*(client.post(receiver.url) for _ in range(2)))
            return await waiting

    assert [each.number for each in asyncio.run(go())] == [1, 2]


def test_many_at_once():
    """Fifty senders at the same time lose nothing."""

    async def go():
        with Receiver(keep=10) as receiver:
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(trust_env=False, limits=limits) as client:
                await asyncio.gather(*(client.post(receiver.url, content=b"x") for _ in range(50)))
            return receiver.count, len(receiver.received)

    assert asyncio.run(go()) == (50, 10)


def test_clear_starts_anew(client):
    """After clear() numbering and waiting begin again."""
    with Receiver() as receiver:
        client.post(receiver.url)
        receiver.clear()
        assert (receiver.received, receiver.count) == ([], 0)
        client.post(receiver.url)
        assert receiver.wait_for(1)[0].number == 1


def test_a_receiver_that_is_not_running_has_no_address():
    """The URL is known once the receiver runs."""
    with pytest.raises(RuntimeError, match="not running"):
        _ = Receiver().url


def test_repeated_headers_are_kept_apart():
    """Headers are found in any case; repeated ones are joined by look-up and kept by get_all."""
    headers = ReceivedHeaders([("Via", "a"), ("via", "b"), ("X", "1")])
    assert headers["VIA"] == "a, b"
    assert headers.get_all("via") == ["a", "b"]
    assert (list(headers), len(headers)) == (["via", "x"], 2)
    assert headers.multi_items()[1] == ("via", "b")
    assert "missing" not in headers


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"\xff", b'{"event":1}', b"[" * 50_000, json.dumps("x").encode()]
)
def test_bodies_without_an_event(client, body):
    """Whatever the body is, asking for the event is not an error."""
    with Receiver() as receiver:
        client.post(receiver.url, content=body)
        assert receiver.received[0].event == ""
