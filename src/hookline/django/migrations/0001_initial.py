"""The schema's version 0001, made by Hookline's own migrations through Django's connection.

What follows it here is how Django sees some of the tables: it creates nothing.
"""

from typing import Any, ClassVar

from django.db import migrations, models

from hookline.django._fields import JsonField, KeyField, TimeField
from hookline.django._schema import drop, upgrade


def _make(_apps: Any, schema_editor: Any) -> None:
    upgrade(schema_editor.connection, "0001")


def _drop(_apps: Any, schema_editor: Any) -> None:
    drop(schema_editor.connection)


class Migration(migrations.Migration):
    """The first."""

    initial = True
    dependencies: ClassVar[Any] = []
    operations: ClassVar[Any] = [
        migrations.RunPython(_make, _drop),
        migrations.CreateModel(
            name="Application",
            fields=[
                ("id", KeyField(prefix="app_", primary_key=True, serialize=False)),
                ("uid", models.TextField(null=True)),
                ("name", models.TextField()),
            ],
            options={
                "db_table": "hookline_application",
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", KeyField(prefix="atmpt_", primary_key=True, serialize=False)),
                ("number", models.BigIntegerField()),
                ("trigger", models.TextField()),
                ("started_at", TimeField()),
                ("url", models.TextField(verbose_name="URL")),
                ("state", models.TextField()),
                ("status", models.BigIntegerField(null=True)),
                ("failure", models.TextField(null=True)),
                ("detail", models.TextField()),
                ("response_body", models.BinaryField()),
                ("total_us", models.BigIntegerField(verbose_name="microseconds")),
                ("next_attempt_at", TimeField(null=True)),
            ],
            options={
                "db_table": "hookline_attempt",
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("message_id", KeyField(prefix="msg_", primary_key=True, serialize=False)),
                ("endpoint_id", KeyField(prefix="ep_")),
                ("attempts", models.BigIntegerField()),
            ],
            options={
                "db_table": "hookline_delivery",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Endpoint",
            fields=[
                ("id", KeyField(prefix="ep_", primary_key=True, serialize=False)),
                ("url", models.TextField(verbose_name="URL")),
                ("description", models.TextField()),
                ("events", JsonField()),
                ("source", models.TextField()),
                ("disabled_at", TimeField(null=True)),
                ("disabled_reason", models.TextField(null=True)),
                ("created_at", TimeField()),
                ("updated_at", TimeField()),
            ],
            options={
                "db_table": "hookline_endpoint",
                "permissions": [("operate_endpoint", "Can disable and enable endpoints")],
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", KeyField(prefix="msg_", primary_key=True, serialize=False)),
                ("event_type", models.TextField()),
                ("body", models.BinaryField()),
                ("event_id", models.TextField(null=True)),
                ("ordering_key", models.TextField(null=True)),
                ("channels", models.TextField(null=True)),
                ("tags", models.TextField(null=True)),
                ("created_at", TimeField()),
                ("deliver_at", TimeField(null=True)),
                ("canceled_at", TimeField(null=True)),
            ],
            options={
                "db_table": "hookline_message",
                "permissions": [("resend_message", "Can send messages again")],
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Outbox",
            fields=[
                ("message_id", KeyField(prefix="msg_", primary_key=True, serialize=False)),
                ("due_at", TimeField()),
            ],
            options={
                "db_table": "hookline_outbox",
                "managed": False,
                "default_permissions": (),
            },
        ),
    ]
