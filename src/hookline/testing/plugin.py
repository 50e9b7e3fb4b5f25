"""The pytest plugin: fixtures over `hookline.testing`, which is loaded when a test asks for one.

Fixtures that are synchronous, so that they serve tests of any kind: plain functions, coroutines
under pytest-asyncio or anyio, `unittest.TestCase` through `usefixtures`.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hookline.testing import FakeClock, Receiver, WebhookOutbox

SECRET = "a-secret-for-tests"
"""What the receivers verify with."""


@pytest.fixture
def hookline_clock() -> "FakeClock":
    """A clock that stands still, at the present time, until `advance(seconds)` is called."""
    from hookline.testing import FakeClock  # noqa: PLC0415 - whoever asks for it pays for it

    return FakeClock.at_present()


@pytest.fixture
def webhook_outbox(hookline_clock: "FakeClock") -> "Iterator[WebhookOutbox]":
    """Hold what the application publishes during the test; see `hookline.testing.WebhookOutbox`."""
    from hookline.testing import WebhookOutbox  # noqa: PLC0415

    with WebhookOutbox(clock=hookline_clock) as outbox:
        yield outbox


@pytest.fixture
def webhook_receiver(hookline_clock: "FakeClock") -> "Iterator[Receiver]":
    """A real receiver on loopback; verifies with `webhook_receiver.secret`, by `hookline_clock`."""
    from hookline.testing import Receiver  # noqa: PLC0415

    with Receiver(SECRET, clock=hookline_clock) as receiver:
        yield receiver


@pytest.fixture
def failing_webhook_receiver(hookline_clock: "FakeClock") -> "Iterator[Receiver]":
    """A real receiver on loopback that answers 503 until it is told otherwise."""
    from hookline.testing import Receiver  # noqa: PLC0415

    with Receiver(SECRET, clock=hookline_clock).answer(503) as receiver:
        yield receiver
