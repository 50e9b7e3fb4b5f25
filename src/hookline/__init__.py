"""Hookline: outbound webhooks for Python applications.

When something happens in your application, the systems outside hear of it: signed, once it is
committed, for certain, and without one bad receiver hurting the rest.

    webhooks = Webhooks(events=WebhookEvent)
    webhooks.register("https://example.com/webhook", ["customer.created"], secret="…")
    await webhooks.trigger("customer.created", {"id": "123"}, session=session)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hookline._app import (
        ApplicationWebhooks,
        Event,
        Publisher,
        SyncApplication,
        SyncPublisher,
        SyncReceipt,
        SyncWebhooks,
        Webhooks,
    )
    from hookline._domain.api_key import ApiKey
    from hookline._domain.application import Application
    from hookline._domain.audit import Actor, AuditEntry, AuditFilter
    from hookline._domain.backlog import Backlog
    from hookline._domain.delivery import Attempt, DeliveryState, DeliveryStatus
    from hookline._domain.endpoint import Endpoint, EndpointState
    from hookline._domain.event_type import EventType
    from hookline._domain.expression import Trial
    from hookline._domain.finding import Finding
    from hookline._domain.history import (
        Attempted,
        AttemptOf,
        EndpointHealth,
        EndpointStats,
        Filter,
        Message,
    )
    from hookline._domain.page import Cursor, Page, Window
    from hookline._domain.plan import Change, Plan
    from hookline._domain.readiness import Readiness
    from hookline._domain.receiver_check import CheckVerdict, ReceiverCheck
    from hookline._domain.replay import Job, JobState
    from hookline._domain.usage import Usage
    from hookline._engine.keys import generate_secret
    from hookline._engine.receipt import Receipt
    from hookline._observe.events import OperationalEvent
    from hookline._observe.json_lines import JsonFormatter
    from hookline._settings import Settings
    from hookline.errors import HooklineError

__version__ = "0.1.0"
__all__ = [
    "Actor",
    "ApiKey",
    "Application",
    "ApplicationWebhooks",
    "Attempt",
    "AttemptOf",
    "Attempted",
    "AuditEntry",
    "AuditFilter",
    "Backlog",
    "Change",
    "CheckVerdict",
    "Cursor",
    "DeliveryState",
    "DeliveryStatus",
    "Endpoint",
    "EndpointHealth",
    "EndpointState",
    "EndpointStats",
    "Event",
    "EventType",
    "Filter",
    "Finding",
    "HooklineError",
    "Job",
    "JobState",
    "JsonFormatter",
    "Message",
    "OperationalEvent",
    "Page",
    "Plan",
    "Publisher",
    "Readiness",
    "Receipt",
    "ReceiverCheck",
    "Settings",
    "SyncApplication",
    "SyncPublisher",
    "SyncReceipt",
    "SyncWebhooks",
    "Trial",
    "Usage",
    "Webhooks",
    "Window",
    "generate_secret",
]

# Loaded on first use, so that `import hookline.receiver` stays standard library only and
# `import hookline` costs nothing before something is triggered.
_HOMES = {
    "Actor": "hookline._domain.audit",
    "ApiKey": "hookline._domain.api_key",
    "Application": "hookline._domain.application",
    "ApplicationWebhooks": "hookline._app",
    "Attempt": "hookline._domain.delivery",
    "AttemptOf": "hookline._domain.history",
    "Attempted": "hookline._domain.history",
    "AuditEntry": "hookline._domain.audit",
    "AuditFilter": "hookline._domain.audit",
    "Backlog": "hookline._domain.backlog",
    "Change": "hookline._domain.plan",
    "CheckVerdict": "hookline._domain.receiver_check",
    "Cursor": "hookline._domain.page",
    "DeliveryState": "hookline._domain.delivery",
    "DeliveryStatus": "hookline._domain.delivery",
    "Endpoint": "hookline._domain.endpoint",
    "EndpointHealth": "hookline._domain.history",
    "EndpointState": "hookline._domain.endpoint",
    "EndpointStats": "hookline._domain.history",
    "Event": "hookline._app",
    "EventType": "hookline._domain.event_type",
    "Filter": "hookline._domain.history",
    "Finding": "hookline._domain.finding",
    "HooklineError": "hookline.errors",
    "Job": "hookline._domain.replay",
    "JobState": "hookline._domain.replay",
    "JsonFormatter": "hookline._observe.json_lines",
    "Message": "hookline._domain.history",
    "OperationalEvent": "hookline._observe.events",
    "Page": "hookline._domain.page",
    "Plan": "hookline._domain.plan",
    "Publisher": "hookline._app",
    "Readiness": "hookline._domain.readiness",
    "Receipt": "hookline._engine.receipt",
    "ReceiverCheck": "hookline._domain.receiver_check",
    "Settings": "hookline._settings",
    "SyncApplication": "hookline._app",
    "SyncPublisher": "hookline._app",
    "SyncReceipt": "hookline._app",
    "SyncWebhooks": "hookline._app",
    "Trial": "hookline._domain.expression",
    "Usage": "hookline._domain.usage",
    "Webhooks": "hookline._app",
    "Window": "hookline._domain.page",
    "generate_secret": "hookline._engine.keys",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hookline' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
