"""Standard output: a table for people, one line per row for pipes, or one JSON document.

With `--json`, standard output holds the document and nothing else; notes go to standard error.
"""

import json
import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookline.cli._show.times import local

PIPED = 10_000
"""Columns of a line that nobody reads on a terminal: rows stay whole, for grep."""
STATES = {
    "active": "green",
    "succeeded": "green",
    "finished": "green",
    "closed": "green",
    "disabled": "red",
    "exhausted": "red",
    "failed": "red",
    "open": "red",
    "held": "yellow",
    "pending": "yellow",
    "half_open": "yellow",
    "canceled": "dim",
    "archived": "dim",
    "deprecated": "yellow",
}


def printable(text: str) -> str:
    """Return a text without what could play tricks on a terminal: much of it is others'."""
    return "".join(c if c.isprintable() else "?" for c in text)


def state(name: str) -> Text:
    """Return a state in its color."""
    return Text(name, STATES.get(name, ""))


def answer(status: int | None, failure: str | None) -> str:
    """Return what an attempt came to, in a few words: `HTTP 302, redirect`."""
    # A status that is none of success is told by its number.
    word = "" if failure == "status" and status is not None else failure or ""
    return ", ".join(filter(None, (f"HTTP {status}" if status is not None else "", word)))


class Out:
    """Where a command prints."""

    def __init__(self, *, as_json: bool) -> None:
        """`as_json`: one document, no table."""
        self.as_json = as_json
        terminal = sys.stdout.isatty()
        self.console = Console(
            highlight=False, markup=False, emoji=False, width=None if terminal else PIPED
        )
        self.now = datetime.now(UTC)

    @property
    def watched(self) -> bool:
        """Whether somebody is there to see a progress bar: it is drawn on standard error."""
        return sys.stderr.isatty()

    def note(self, text: str) -> None:
        """Say something that is not the result."""
        typer.echo(printable(text), err=True)

    def document(self, found: Any) -> None:
        """Print a document, as JSON."""
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))

    def line(self, *parts: str | Text | tuple[str, str]) -> None:
        """Print a line, never broken by us."""
        self.console.print(Text.assemble(*map(_safe, parts)), soft_wrap=True)

    def when(self, moment: datetime | None) -> str:
        """Return a local time, with its age."""
        return local(moment, self.now)

    def table(
        self,
        titles: Sequence[str],
        rows: Iterable[Sequence[str | Text]],
        *,
        below: Collection[str] = (),
    ) -> None:
        """Print rows: in one line each where there is room, in two where there is not.

        The columns `below` are those that go on the second line then.
        """
        cells = [[_cell(value) for value in row] for row in rows]
        widths = [
            max([cell_len(title), *(cell_len(row[at].plain) for row in cells)])
            for at, title in enumerate(titles)
        ]
        room = sum(widths) + 2 * (len(widths) - 1) <= self.console.width
        shown = [at for at, title in enumerate(titles) if room or title not in below]
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        if room:
            for at in shown:
                table.add_column(titles[at], no_wrap=True, min_width=widths[at])
            for row in cells:
                table.add_row(*row)
            self._print(table)
            return
        for row in cells:
            line = Text("  ").join([*(_padded(row[at], widths[at]) for at in shown)])
            line.rstrip()
            self.console.print(line, soft_wrap=True)
            rest = [row[at] for at in range(len(titles)) if at not in shown and row[at].plain]
            if rest:
                second = Text("  ").append_text(Text("  ").join(rest))
                second.stylize("dim")
                self.console.print(second, soft_wrap=True)

    def _print(self, table: Table) -> None:
        """Print a table without the spaces that pad its last column."""
        with self.console.capture() as captured:
            self.console.print(table)
        for line in captured.get().splitlines():
            typer.echo(line.rstrip())

    def facts(self, pairs: Iterable[tuple[str, str | Text]]) -> None:
        """Print what is known of one thing: a name and a value per line, without empty ones."""
        told = [(name, _cell(value)) for name, value in pairs]
        told = [(name, value) for name, value in told if value.plain and value.plain != "–"]
        width = max((len(name) for name, _ in told), default=0)
        for name, value in told:
            self.console.print(
                Text.assemble((f"{name.ljust(width)}  ", "dim"), value), soft_wrap=True
            )


def _cell(value: str | Text) -> Text:
    return value if isinstance(value, Text) else Text(printable(value))


def _padded(cell: Text, width: int) -> Text:
    padded = cell.copy()
    padded.pad_right(max(0, width - cell_len(cell.plain)))
    return padded


def _safe(part: str | Text | tuple[str, str]) -> str | Text | tuple[str, str]:
    if isinstance(part, tuple):
        return printable(part[0]), part[1]
    return printable(part) if isinstance(part, str) else part
