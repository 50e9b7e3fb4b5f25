"""Tools for testing what sends webhooks: an outbox to assert on, receivers, a clock.

    with WebhookOutbox() as outbox:
        client.post("/customers", json={"name": "张三"})
        outbox.assert_sent("customer.created", data__name="张三", times=1)

    with Receiver(secret="your-secret-key") as receiver:
        receiver.answer(503, times=3)
        webhooks.register(receiver.url, ["customer.created"], secret="your-secret-key")
        ...
        *_, last = receiver.wait_for(4)
        assert last.verified and last.attempt == 4

Needs no test framework. For pytest there are fixtures, of a plugin that is found by itself:
`webhook_outbox`, `webhook_receiver`, `failing_webhook_receiver` and `hookline_clock`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hookline._engine.clock import FakeClock
    from hookline.testing._local import LocalReceiver
    from hookline.testing._outbox import WebhookOutbox
    from hookline.testing._received import Answer, Received, ReceivedHeaders, Responder, agree
    from hookline.testing._receiver import Handler, Receiver
    from hookline.testing._sent import SentMessage

__all__ = [
    "Answer",
    "FakeClock",
    "Handler",
    "LocalReceiver",
    "Received",
    "ReceivedHeaders",
    "Receiver",
    "Responder",
    "SentMessage",
    "WebhookOutbox",
    "agree",
]

# Loaded on first use: pytest imports this package in every run, for the plugin.
_HOMES = {
    "Answer": "_received",
    "Handler": "_receiver",
    "LocalReceiver": "_local",
    "Received": "_received",
    "ReceivedHeaders": "_received",
    "Receiver": "_receiver",
    "Responder": "_received",
    "SentMessage": "_sent",
    "WebhookOutbox": "_outbox",
    "agree": "_received",
}


def __getattr__(name: str) -> Any:
    if name == "FakeClock":
        home = "hookline._engine.clock"
    elif name in _HOMES:
        home = f"{__name__}.{_HOMES[name]}"
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
