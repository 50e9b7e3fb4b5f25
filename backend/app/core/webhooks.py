"""The application's webhooks: which events there are, and the three functions of the guide."""

from enum import StrEnum

from app.schemas import CustomerData, CustomerStatusChanged, DocumentData, ProductData
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

# What receivers may read of each. Described, not enforced: `data` is whatever object the caller
# gives, as in the guide. webhooks.lock.json has what was promised; a test says what breaks it.
for event, model, description in (
    (WebhookEvent.CUSTOMER_CREATED, CustomerData, "A customer was created."),
    (WebhookEvent.CUSTOMER_UPDATED, CustomerData, "A customer was changed; the data are the new."),
    (WebhookEvent.CUSTOMER_DELETED, CustomerData, "A customer was deleted; the data are the last."),
    (WebhookEvent.CUSTOMER_STATUS_CHANGED, CustomerStatusChanged, "A customer's status changed."),
    (WebhookEvent.DOCUMENT_UPLOADED, DocumentData, "A document was uploaded for a customer."),
    (WebhookEvent.DOCUMENT_APPROVED, DocumentData, "A document was reviewed and approved."),
    (WebhookEvent.DOCUMENT_REJECTED, DocumentData, "A document was reviewed and rejected."),
    (WebhookEvent.DOCUMENT_DELETED, DocumentData, "A document was deleted."),
    (WebhookEvent.PRODUCT_CREATED, ProductData, "A product was created."),
    (WebhookEvent.PRODUCT_UPDATED, ProductData, "A product was changed; the data are the new."),
    (WebhookEvent.PRODUCT_DELETED, ProductData, "A product was deleted; the data are the last."),
):
    webhooks.event(event, description=description, group=event.split(".")[0], enforce=False)(model)

register_webhook = webhooks.register
trigger_webhook = webhooks.trigger
init_webhooks = webhooks.init
