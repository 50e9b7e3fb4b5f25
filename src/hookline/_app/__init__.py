"""The façade: Webhooks, and what it gives out. The only place that names concrete adapters."""

from hookline._app.application import ApplicationWebhooks
from hookline._app.publishing import Event, Publisher
from hookline._app.sync import SyncApplication, SyncPublisher, SyncReceipt
from hookline._app.sync_webhooks import SyncWebhooks
from hookline._app.webhooks import Webhooks

__all__ = [
    "ApplicationWebhooks",
    "Event",
    "Publisher",
    "SyncApplication",
    "SyncPublisher",
    "SyncReceipt",
    "SyncWebhooks",
    "Webhooks",
]
