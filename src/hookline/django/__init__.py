"""Django: publish in your transaction, look at deliveries in the admin, receive webhooks.

INSTALLED_APPS = [..., "hookline.django"]
HOOKLINE = {"EVENTS": "shop.events.WebhookEvent"}

with transaction.atomic():
    order = Order.objects.create(...)
    trigger("order.placed", {"id": order.pk})

`manage.py migrate` makes the tables, `manage.py hookline worker` delivers. The views that receive
need nothing of this: `@receive("your-secret-key")`.
"""

from typing import TYPE_CHECKING, Any

from hookline.django._publish import atrigger, atrigger_many, configured, trigger, trigger_many
from hookline.django._receive import receive

if TYPE_CHECKING:
    from hookline import Webhooks

    webhooks: Webhooks
    """The façade on Django's database, as `settings.HOOKLINE` says; `webhooks.sync` waits."""

__all__ = ["atrigger", "atrigger_many", "receive", "trigger", "trigger_many", "webhooks"]


def __getattr__(name: str) -> Any:
    if name == "webhooks":  # settings are read when it is first used
        return configured().webhooks
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
