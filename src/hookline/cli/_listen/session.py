"""A session of `hookline listen`: messages without end, each handed on and told of."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import typer

from hookline import Message
from hookline.cli._listen.forward import Answered, Forwarder
from hookline.cli._reach.aside import aside
from hookline.cli._reach.http import Refused
from hookline.cli._reach.protocol import Reach
from hookline.cli._show import documents
from hookline.cli._show.out import Out
from hookline.errors import StorageError

PAUSES = (0.5, 1, 2, 5, 10)
"""Seconds before the server is tried again."""
REMEMBERED = 10_000
"""Messages that are known again when they come a second time after a reconnect."""
SHOWN = 300
"""Characters of an answer that are printed."""


async def without_end(
    reach: Reach,
    out: Out,
    events: list[str],
    channels: list[str],
    since: datetime | None,
) -> AsyncIterator[Message]:
    """Yield each message once, whatever happens to the connection."""
    position: str | None = None
    seen: dict[str, None] = {}
    failures = 0
    began = datetime.now(UTC) if since is None else since
    while True:
        try:
            begin: Any = {"since": began} if position is None else {"after": position}
            async with aclosing(reach.follow(events, channels, **begin)) as following:  # type: ignore[type-var]
                async for found in following:
                    if failures:
                        out.note("listening again; what was published meanwhile comes now")
                    failures = 0
                    for message in found.messages:
                        if message.id not in seen:
                            seen[message.id] = None
                            yield message
                    while len(seen) > REMEMBERED:
                        del seen[next(iter(seen))]
                    position = max(position or "", found.position)
        except (Refused, StorageError) as error:
            final = isinstance(error, Refused) and error.status in (400, 401, 403, 404, 422)
            if final or (position is None and isinstance(error, Refused) and not failures):
                raise
            if not failures:
                out.note(f"{error}; trying again")
            failures += 1
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES)) - 1])


class Session:
    """What happens to the messages: forwarded one by one, told of in a line each."""

    def __init__(self, out: Out, forwarder: Forwarder | None, *, bodies: bool) -> None:
        self._out = out
        self._forwarder = forwarder
        self._bodies = bodies
        self._count = self._failed = 0

    async def run(self, messages: AsyncIterator[Message]) -> None:
        async for message in messages:
            self._count += 1
            answered = None
            if self._forwarder is not None:
                answered = await aside(self._forwarder.send, message)
                self._failed += not answered.ok
            (self._as_line if self._out.as_json else self._show)(message, answered)

    def _show(self, message: Message, answered: Answered | None) -> None:
        out = self._out
        if answered is None:
            sign, said = ("· ", "dim"), ""
        else:
            sign = ("✓ ", "green") if answered.ok else ("✗ ", "red")
            said = f"  {answered.status or ''} {answered.reason}".rstrip()
            said += f"  {answered.seconds * 1000:.0f} ms"
        at = f"{datetime.now().astimezone():%H:%M:%S}  "
        later = "" if message.deliver_at is None else f"  to be sent {message.deliver_at:%FT%TZ}"
        out.line(
            sign, (at, "dim"), message.event_type, said, (f"  {message.id}", "dim"), (later, "dim")
        )
        if self._bodies:
            out.line("    ", (message.body.decode(errors="replace"), "dim"))
        if answered is not None and answered.body and (self._bodies or not answered.ok):
            text = answered.body.decode(errors="replace")
            out.line("    ", (text if len(text) <= SHOWN else f"{text[:SHOWN]}…", "yellow"))
        sys.stdout.flush()

    def _as_line(self, message: Message, answered: Answered | None) -> None:
        document = documents.message(message, content=True)
        if answered is not None:
            document["answer"] = {
                "status": answered.status,
                "reason": answered.reason,
                "body": answered.body.decode(errors="replace"),
                "duration_ms": round(answered.seconds * 1000, 3),
            }
        typer.echo(json.dumps(document, ensure_ascii=False))
        sys.stdout.flush()

    def goodbye(self) -> None:
        what = "webhook" if self._count == 1 else "webhooks"
        failed = f", {self._failed} of them not taken" if self._failed else ""
        self._out.note(f"{self._count} {what}{failed}")
