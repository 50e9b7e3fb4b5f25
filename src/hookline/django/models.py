"""Hookline's tables as Django sees them: to read from, in the admin and in queries of your own.

Unmanaged: their columns are Hookline's business, and nothing is written through them.
"""

from typing import Any, ClassVar

from django.db import models

from hookline._domain import ids
from hookline.django._fields import JsonField, KeyField, TimeField

__all__ = ["Application", "Attempt", "Delivery", "Endpoint", "Message", "Outbox"]


class Application(models.Model):
    """Whose endpoints and messages they are: `default`, or a customer."""

    id = KeyField(ids.APPLICATION, primary_key=True)
    uid = models.TextField(null=True)  # noqa: DJ001 - None and empty differ
    name = models.TextField()

    class Meta:
        managed = False
        db_table = "hookline_application"
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.uid or self.id)


class Endpoint(models.Model):
    """Where webhooks go."""

    id = KeyField(ids.ENDPOINT, primary_key=True)
    application = models.ForeignKey(
        Application, models.DO_NOTHING, db_column="app_id", db_constraint=False
    )
    url = models.TextField("URL")
    description = models.TextField()
    events = JsonField()
    source = models.TextField()
    disabled_at = TimeField(null=True)
    disabled_reason = models.TextField(null=True)  # noqa: DJ001
    created_at = TimeField()
    updated_at = TimeField()

    class Meta:
        managed = False
        db_table = "hookline_endpoint"
        default_permissions = ("view",)
        permissions: ClassVar[Any] = [("operate_endpoint", "Can disable and enable endpoints")]

    def __str__(self) -> str:
        return str(self.url)


class Message(models.Model):
    """What was published."""

    id = KeyField(ids.MESSAGE, primary_key=True)
    application = models.ForeignKey(
        Application, models.DO_NOTHING, db_column="app_id", db_constraint=False
    )
    event_type = models.TextField()
    body = models.BinaryField()
    event_id = models.TextField(null=True)  # noqa: DJ001
    ordering_key = models.TextField(null=True)  # noqa: DJ001
    channels = models.TextField(null=True)  # noqa: DJ001
    tags = models.TextField(null=True)  # noqa: DJ001
    created_at = TimeField()
    deliver_at = TimeField(null=True)
    canceled_at = TimeField(null=True)

    class Meta:
        managed = False
        db_table = "hookline_message"
        default_permissions = ("view",)
        permissions: ClassVar[Any] = [("resend_message", "Can send messages again")]

    def __str__(self) -> str:
        return str(self.id)


class Attempt(models.Model):
    """One request, and what came back."""

    id = KeyField(ids.ATTEMPT, primary_key=True)
    message = models.ForeignKey(
        Message, models.DO_NOTHING, db_constraint=False, related_name="attempts"
    )
    endpoint = models.ForeignKey(
        Endpoint, models.DO_NOTHING, db_constraint=False, related_name="attempts"
    )
    number = models.BigIntegerField()
    trigger = models.TextField()
    started_at = TimeField()
    url = models.TextField("URL")
    state = models.TextField()
    status = models.BigIntegerField(null=True)
    failure = models.TextField(null=True)  # noqa: DJ001
    detail = models.TextField()
    response_body = models.BinaryField()
    total_us = models.BigIntegerField("microseconds")
    next_attempt_at = TimeField(null=True)

    class Meta:
        managed = False
        db_table = "hookline_attempt"
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.id)


class Delivery(models.Model):
    """A message that has not ended at an endpoint yet: the live queue. By message, not by `pk`."""

    message_id = KeyField(ids.MESSAGE, primary_key=True)
    endpoint_id = KeyField(ids.ENDPOINT)
    attempts = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "hookline_delivery"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.message_id} to {self.endpoint_id}"


class Outbox(models.Model):
    """A message that is committed and not routed yet."""

    message_id = KeyField(ids.MESSAGE, primary_key=True)
    due_at = TimeField()

    class Meta:
        managed = False
        db_table = "hookline_outbox"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.message_id)
