"""A sender of its own, for tests of what it does with one request."""

from queue import Empty, Queue

from hookline._domain.address import Policy
from hookline._domain.identity import Identity
from hookline._domain.url import Url, parse
from hookline._ports import Request
from hookline._sending.sender import CurlSender

HERE = Policy.of(development=True)


class Sending:
    """A running sender; `send` returns the outcome of one request."""

    def __init__(self, **options):
        self.outcomes = Queue()
        self.sender = CurlSender(**options)
        self.sender.start(self._take)

    def _take(self, results):
        for tag, outcome in results:
            self.outcomes.put((tag, outcome))

    def start(
        self,
        url,
        body=b'{"event":"a.b"}',
        *,
        tag="tag",
        policy=HERE,
        connect=2.0,
        total=5.0,
        headers=(),
        limit=None,
        **identity,
    ):
        """Start a request; what is not named here is part of its identity."""
        request = Request(
            tag=tag,
            url=url if isinstance(url, Url) else parse(url),
            policy=policy,
            header_lines=["Content-Type: application/json", "Expect:", *headers],
            body=body,
            connect_timeout_ms=int(connect * 1000),
            timeout_ms=int(total * 1000),
            identity=Identity.of(**identity),
            limit=limit,
        )
        self.sender.send([request])

    def take(self):
        """Return the next outcome and its tag."""
        try:
            return self.outcomes.get(timeout=10)
        except Empty:
            raise AssertionError("a request got no outcome") from None

    def send(self, url, body=b'{"event":"a.b"}', **options):
        """Return the outcome of one request, and check that it has exactly one."""
        self.start(url, body, **options)
        tag, outcome = self.take()
        assert tag == "tag"
        assert self.outcomes.empty()
        return outcome
