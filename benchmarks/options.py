"""What this version of Hookline can be told: an option it does not know yet is left out."""

from dataclasses import fields
from typing import Any

from hookline._settings import Settings

ALONE, AMONG_MANY = 256, 20
"""Requests in flight to one endpoint: a single one may have the whole worker."""


class Options:
    """Filters arguments by what exists."""

    def __init__(self) -> None:
        self._settings = {f.name for f in fields(Settings)}

    def settings(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of a run on loopback and on an empty database."""
        always = {"allowed_networks": "127.0.0.0/8", "migrate": "always"}
        return {k: v for k, v in {**always, **wanted}.items() if k in self._settings}

    def endpoint(self, endpoints: int) -> dict[str, Any]:
        """Return the options of one of so many endpoints."""
        return {"concurrency": ALONE if endpoints == 1 else AMONG_MANY}
