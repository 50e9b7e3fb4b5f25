"""The shop, and who hears of it."""

import os

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self) -> None:
        from hookline.django import webhooks  # noqa: PLC0415 - once the settings are there

        webhooks.register(
            os.environ.get("WEBHOOK", "http://127.0.0.1:9000/webhook"),
            ["order.*"],
            secret="your-secret-key",
        )
