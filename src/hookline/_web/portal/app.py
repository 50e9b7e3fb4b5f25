"""The customer portal as a part of the server, below `/portal`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.responses import Response

from hookline import Webhooks
from hookline._web.dashboard import (
    endpoints,
    event_types,
    letters,
    messages,
    overview,
    replays,
    signatures,
)
from hookline._web.dashboard.app import Dashboard
from hookline._web.dashboard.assets import Assets
from hookline._web.dashboard.routes import Page, all_pages, get
from hookline._web.dashboard.session import Sessions
from hookline._web.portal import entry
from hookline._web.portal.view import PortalView, application_of

ROOT = "/portal"
ASSETS = Assets(Path(__file__).parent / "static")
PAGES = all_pages(
    entry.PAGES,
    (get("/overview", overview.show),),
    endpoints.pages(""),
    messages.pages(""),
    letters.PAGES,
    replays.PAGES,
    event_types.SHARED,
    signatures.PAGES,
)


class Portal(Dashboard):
    """All pages of a customer."""

    pages: Sequence[Page] = PAGES
    view = PortalView
    assets = (ASSETS, *Dashboard.assets)
    packages = ("hookline._web.portal", *Dashboard.packages)

    def sessions(self, webhooks: Webhooks) -> Sessions:
        """Return what makes sessions: of keys for one application."""
        return Sessions(webhooks, lambda key: bool(application_of(key)))

    def outside(self, view: Any) -> Response:
        """Return what whoever has no session sees instead of a page."""
        return entry.ended(view)
