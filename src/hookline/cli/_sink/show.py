"""What `hookline sink` prints."""

import json
import threading
from collections.abc import Callable
from http import HTTPStatus

from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

from hookline.cli._sink.server import Sink, as_json
from hookline.cli._sink.text import decoded, indented, visible
from hookline.testing import Received

BODY_LIMIT = 4000
"""Characters of a body on the terminal; the page has more."""

_INDENT = " " * 10


def as_line(received: Received) -> None:
    """Print a webhook as one line of JSON, whole, for another program to read."""
    # ASCII with \u escapes: harmless on a terminal too.
    print(json.dumps(as_json(received, limit=None)), flush=True)


def readable(console: Console, *, bodies: bool) -> Callable[[Received], None]:
    """Return a function that prints a webhook for people, with or without its body."""
    lock = threading.Lock()  # connections have their own threads; a webhook is printed in one piece

    def show(received: Received) -> None:
        with lock:
            # soft_wrap leaves long lines to the terminal, so that they can be copied whole.
            console.print(_head(received), soft_wrap=True)
            if bodies:
                console.print(_about(received), soft_wrap=True)
                console.print(_body(received.body), soft_wrap=True)
                console.print()

    return show


def _head(received: Received) -> Text:
    line = Text(f"{received.arrived_at.astimezone():%H:%M:%S}  ", style="dim")
    line.append(_name(received), style="bold not dim")
    verdict, style = _verdict(received)
    line.append(f"  {verdict}", style if style == "dim" else f"{style} not dim")
    line.append("  → ", style="dim")
    line.append(*_answer(received))
    if received.problem:
        line.append(f"\n{_INDENT}{received.problem}", "yellow not dim")
    return line


def _name(received: Received) -> str:
    return visible(decoded(received.event))[:200] or "(no event)"


def _verdict(received: Received) -> tuple[str, str]:
    if received.verified is None:
        return "not checked", "dim"
    return ("✓ verified", "green") if received.verified else ("✗ not verified", "red")


def _answer(received: Received) -> tuple[str, str]:
    if received.answer is None:
        return "connection dropped", "red not dim"
    success = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)
    color = "green" if received.answer in success else "yellow"
    return str(received.answer), f"{color} not dim"


def _about(received: Received) -> Text:
    attempt = "" if received.attempt is None else f"attempt {received.attempt}"
    target = f"{received.method} {received.path[:200]}"
    parts = (decoded(received.id or "")[:200], attempt, target, f"{len(received.body):,} bytes")
    return Text(_INDENT + visible("  ".join(part for part in parts if part)), style="dim")


def _body(body: bytes) -> Text:
    if not body:
        return Text(f"{_INDENT}(empty body)", style="dim")
    raw = body.decode(errors="replace")
    pretty = indented(raw, BODY_LIMIT)
    shown = (raw if pretty is None else pretty)[:BODY_LIMIT]
    text = Text(visible(shown, keep="\n"))
    if pretty is not None:
        JSONHighlighter().highlight(text)
    lines = Text("\n").join(Text(_INDENT) + line for line in text.split("\n"))
    if notes := _notes(body, raw, pretty):
        lines.append(f"\n{_INDENT}({', '.join(notes)})", style="dim italic")
    return lines


def _notes(body: bytes, raw: str, pretty: str | None) -> list[str]:
    notes = []
    if len(raw if pretty is None else pretty) > BODY_LIMIT:
        notes.append(f"cut here; {len(body):,} bytes in all")
    if pretty is None:
        notes.append("not JSON")
    if "\ufffd" in raw and "\ufffd".encode() not in body:
        notes.append("not UTF-8")
    return notes


def welcome(console: Console, sink: Sink, *, secrets: int, exposed: bool) -> None:
    """Print where the sink listens and how to send it something."""
    checked = (
        f"signatures are checked ({secrets} secret{'s' * (secrets > 1)})"
        if secrets
        else "signatures are not checked: give the endpoint's with --secret"
    )
    secret = ', secret="…"' if secrets else ""
    for line in (
        Text.assemble(("Hookline sink", "bold"), "  ", (checked, "dim")),
        Text.assemble(("  webhooks  ", "dim"), sink.url, ("  (any path will do)", "dim")),
        Text.assemble(("  page      ", "dim"), f"{sink.base}/"),
        Text.assemble(("  answers   ", "dim"), sink.summary),
        Text.assemble(("  register  ", "dim"), f'register_webhook("{sink.url}", ["*"]{secret})'),
        Text("  Ctrl-C ends it", style="dim"),
    ):
        console.print(line, soft_wrap=True)
    if exposed:
        warning = (
            "  warning   not only this machine: whoever reaches this address can read the page"
        )
        console.print(Text(warning, style="yellow"), soft_wrap=True)
    console.print()


def goodbye(console: Console, sink: Sink) -> None:
    """Print what arrived, in one line."""
    parts = [f"{sink.total:,} webhook{'s' * (sink.total != 1)} received"]
    if sink.verified or sink.refused:
        parts.append(f"{sink.verified:,} verified")
    if sink.refused:
        parts.append(f"{sink.refused:,} not verified")
    console.print(Text(", ".join(parts)))
