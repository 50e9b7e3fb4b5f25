"""The application's webhooks: which events there are, and the three functions of the guide."""

from enum import StrEnum

from app.settings import settings
from hookline import Webhooks


class WebhookEvent(StrEnum):
    """Every event that this application can send."""

    CUSTOMER_CREATED = "customer.created"
    CUSTOMER_UPDATED = "customer.updated"
    CUSTOMER_DELETED = "customer.deleted"
    CUSTOMER_STATUS_CHANGED = "customer.status_changed"

    DOCUMENT_UPLOADED = "document.uploaded"
    DOCUMENT_APPROVED = "document.approved"
    DOCUMENT_REJECTED = "document.rejected"
    DOCUMENT_DELETED = "document.deleted"

    PRODUCT_CREATED = "product.created"
    PRODUCT_UPDATED = "product.updated"
    PRODUCT_DELETED = "product.deleted"


# The same database as the application's own: only so can an event be part of a transaction.
webhooks = Webhooks(events=WebhookEvent, database=settings.database_url)

register_webhook = webhooks.register
trigger_webhook = webhooks.trigger
init_webhooks = webhooks.init
