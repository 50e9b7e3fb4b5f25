"""The signature debugger: why a webhook does not verify."""

import asyncio
import re
from collections.abc import Mapping

from starlette.responses import Response

from hookline._web.dashboard.routes import Access, Page, get
from hookline._web.dashboard.view import View
from hookline._web.errors import Refused
from hookline.receiver import diagnose

MOST_BYTES = 1 << 20


def _empty() -> dict[str, str]:
    return {"body": "", "headers": "", "secret": "", "original": ""}


async def show(view: View) -> Response:
    """Show the form."""
    return view.page("signatures.html", values=_empty(), diagnosis=None)


async def examine(view: View) -> Response:
    """Say why a webhook does not verify. What was given is kept nowhere."""
    values = _empty() | {name: view.form.get(name, "") for name in _empty()}
    if sum(map(len, values.values())) > MOST_BYTES:
        raise Refused(413, view.say("This is more than a webhook has."))
    # Forms send line ends as CRLF; a body with them would have them escaped or be sent as such.
    body = values["body"].replace("\r\n", "\n")
    original = values["original"].replace("\r\n", "\n") or None
    found = await asyncio.to_thread(
        diagnose, body, _headers(values["headers"]), values["secret"], original=original
    )
    values["secret"] = ""
    return view.page("signatures.html", values=values, diagnosis=found)


def _headers(given: str) -> Mapping[str, str]:
    pairs = (re.split(r":\s*", line, maxsplit=1) for line in given.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


PAGES = (get("/signatures", show), Page("POST", "/signatures", examine, Access.READERS))
