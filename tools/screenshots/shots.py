"""Which pictures there are: one of each page of the dashboard and the portal, at least."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tools.screenshots.demo import DOWN, OFF, SECRET, SLOW, WELL, Demo

DESKTOP, PHONE = (1200, 800), (390, 780)
TALLEST = 1500
"""Pixels of a page that a picture shows at most."""
WITHOUT = {
    "dashboard": {
        "/endpoints": "leads to the endpoints of an application",
        "/language": "leads back",
        "/theme": "leads back",
        "/apps/{app}/messages/{id}/payload": "is a download",
        "/apps/{app}/endpoints/check": "is a part of the endpoint's form",
    },
    "portal": {
        "/static/brand.css": "is a style sheet",
        "/language": "leads back",
        "/theme": "leads back",
        "/messages/{id}/payload": "is a download",
        "/endpoints/check": "is a part of the endpoint's form",
    },
}
"""Routes that are no pages of their own, and why."""
Act = Callable[[Any], None]


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture: of a route, in one look. `path` is filled in from the demo."""

    name: str
    face: str
    route: str
    query: str = ""
    size: tuple[int, int] = DESKTOP
    dark: bool = False
    language: str = "en"
    signed_in: bool = True
    tallest: int = TALLEST
    act: Act | None = None
    """What is done on the page before the picture is taken."""

    def path(self, demo: Demo) -> str:
        """Return what is asked for."""
        root = "" if self.face == "dashboard" else "/portal"
        values = {"app": "acme", "name": "loan.approved", "id": self._id(demo)}
        e = demo.endpoints["acme"]
        query = self.query.format(well=e[WELL], slow=e[SLOW], down=e[DOWN], off=e[OFF])
        return root + self.route.format(**values) + query

    def _id(self, demo: Demo) -> str:
        for part, found in (
            ("/messages/", demo.message),
            ("/replays/", demo.job),
        ):
            if part in self.route:
                return found
        return demo.endpoints["acme"][SLOW]


def _dashboard(name: str, route: str, **more: Any) -> Shot:
    return Shot(name=f"dashboard-{name}", face="dashboard", route=route, **more)


def _portal(name: str, route: str, **more: Any) -> Shot:
    return Shot(name=f"portal-{name}", face="portal", route=route, **more)


def _diagnose(page: Any) -> None:
    """Give the debugger a webhook whose body a framework has parsed and written anew."""
    name, at = "msg_0EAIghbHpVIKKFNJhy34nCHgg3a", str(int(time.time()))
    sent = '{"event":"customer.approved","data":{"customer_no":"C20260417","name":"张伟"}}'
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    mac = hmac.digest(key, f"{name}.{at}.{sent}".encode(), "sha256")
    signature = base64.b64encode(mac).decode()
    page.fill("[name=body]", json.dumps(json.loads(sent), ensure_ascii=False))
    page.fill(
        "[name=headers]",
        f"webhook-id: {name}\nwebhook-timestamp: {at}\nwebhook-signature: v1,{signature}",
    )
    page.fill("[name=secret]", SECRET)
    page.locator("main form button.primary").click()


_E, _M = "/apps/{app}/endpoints", "/apps/{app}/messages"
SHOTS = (
    _dashboard("sign-in", "/sign-in", signed_in=False),
    _dashboard("overview", "/", query="?range=24h"),
    _dashboard("overview-dark", "/", query="?range=24h", dark=True),
    _dashboard("overview-phone", "/", query="?range=24h", size=PHONE),
    _dashboard("application", "/apps/{app}", query="?range=6h"),
    _dashboard("messages", _M, tallest=900),
    _dashboard("messages-phone", _M, size=PHONE, dark=True, tallest=1000),
    _dashboard("all-messages", "/messages", tallest=900),
    _dashboard("message", f"{_M}/{{id}}"),
    _dashboard("message-chinese", f"{_M}/{{id}}", language="zh-CN", dark=True, tallest=1100),
    _dashboard("endpoints", _E),
    _dashboard("endpoint", f"{_E}/{{id}}"),
    _dashboard("endpoint-phone", f"{_E}/{{id}}", size=PHONE),
    _dashboard("new-endpoint", f"{_E}/new"),
    _dashboard("edit-endpoint", f"{_E}/{{id}}/edit"),
    _dashboard("delete-endpoint", f"{_E}/{{id}}/delete"),
    _dashboard("dead-letters", "/dead-letters", tallest=900),
    _dashboard("replays", "/replays"),
    _dashboard("replay", "/replays/{id}"),
    _dashboard("event-types", "/event-types"),
    _dashboard("event-type", "/event-types/{name}"),
    _dashboard("new-event-type", "/new-event-type"),
    _dashboard("edit-event-type", "/event-types/{name}/edit"),
    _dashboard("applications", "/apps"),
    _dashboard("keys", "/keys"),
    _dashboard("audit", "/audit", tallest=900),
    _dashboard("settings", "/settings", tallest=1000),
    _dashboard("doctor", "/doctor"),
    _dashboard("signatures", "/signatures", act=_diagnose),
    _portal("landing", "/", signed_in=False),
    _portal("overview", "/overview"),
    _portal("endpoints", "/endpoints"),
    _portal("endpoints-phone", "/endpoints", size=PHONE),
    _portal("endpoint", "/endpoints/{id}"),
    _portal("endpoint-chinese", "/endpoints/{id}", language="zh-CN", dark=True, size=PHONE),
    _portal("new-endpoint", "/endpoints/new"),
    _portal("edit-endpoint", "/endpoints/{id}/edit"),
    _portal("delete-endpoint", "/endpoints/{id}/delete"),
    _portal("messages", "/messages", tallest=900),
    _portal("message", "/messages/{id}", dark=True),
    _portal("event-types", "/event-types"),
    _portal("event-type", "/event-types/{name}"),
    _portal("dead-letters", "/dead-letters", tallest=900),
    _portal("replays", "/replays"),
    _portal("replay", "/replays/{id}"),
    _portal("signatures", "/signatures"),
)
