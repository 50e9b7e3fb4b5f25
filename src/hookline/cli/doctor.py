"""`hookline doctor`: look at a deployment and say what to do."""

import json
from dataclasses import asdict
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli._database import Database, fail, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.text import Text

    from hookline._domain.finding import Finding

NARROW = 30
"""Columns there must be for text; fewer are not worth wrapping for."""
_SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


def doctor(
    *,
    database: Database = None,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Also connect to every endpoint's host; nothing is sent."),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Count warnings as problems: exit 2 for them too.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also list the checks that are ok.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at database, workers and endpoints, and say what to do about what is wrong.

    Changes nothing. Exits 0 when all is well, 1 with warnings, 2 with problems.
    """
    import asyncio  # noqa: PLC0415

    from hookline._domain.finding import Level, worst  # noqa: PLC0415
    from hookline.errors import InvalidSettings  # noqa: PLC0415

    webhooks = opened("doctor", database)
    try:
        findings = asyncio.run(webhooks.diagnose(probe=probe))
    except InvalidSettings as error:  # PostgreSQL without its driver
        fail("doctor", error, code=2)
    level = worst(findings)
    if as_json:
        typer.echo(_as_json(findings, level.value))
    else:
        _print(findings, verbose=verbose)
    if strict and level is Level.WARNING:
        level = Level.PROBLEM
    raise typer.Exit(level.rank)


def _as_json(findings: "Sequence[Finding]", level: str) -> str:
    document = {"level": level, "findings": [asdict(finding) for finding in findings]}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _print(findings: "Sequence[Finding]", *, verbose: bool) -> None:
    from rich.console import Console  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    found = sorted((f for f in findings if f.level != "ok"), key=lambda f: -f.level.rank)
    fine = [f for f in findings if f.level == "ok"]
    indent = max(len(f.check) for f in findings) + 4
    for finding in [*found, *fine] if verbose else found:
        for line in _lines(finding, indent, console.width if console.is_terminal else None):
            console.print(line, soft_wrap=True)
    if not found:
        name = next(f.summary for f in findings if f.check == "database").partition(",")[0]
        console.print(f"✓ all is well with {name} ({len(fine)} checks)", style="green")
    elif not verbose:
        more = f"✓ the other {len(fine)} checks are ok (--verbose lists them)"
        console.print(more, style="dim", soft_wrap=True)


def _lines(finding: "Finding", indent: int, width: int | None) -> "Iterator[Text]":
    """Give the lines of one finding: what, about what, and what to do."""
    from rich.text import Text  # noqa: PLC0415

    sign, color = _SIGNS[finding.level]
    first, *more = _wrapped(finding.summary, indent, width)
    name = (finding.check.ljust(indent - 2), "bold" if finding.items or finding.advice else "dim")
    yield Text.assemble((f"{sign} ", color), name, first.strip())
    yield from map(Text, more)
    for item in finding.items:
        yield from (Text(line, "dim") for line in _wrapped(f"· {item}", indent, width))
    if finding.advice:
        yield from (Text(line, "cyan") for line in _wrapped(f"→ {finding.advice}", indent, width))


def _wrapped(text: str, indent: int, width: int | None) -> list[str]:
    """Return text as indented lines; whole, so that grep finds it, where there is no terminal."""
    # Reasons and URLs come from outside: they must not play tricks on a terminal.
    shown = "".join(c if c.isprintable() else "?" for c in text)
    spaces = " " * indent
    if width is None or width < indent + NARROW:
        return [spaces + shown]
    marked = shown[:2] in {"· ", "→ "}
    if marked:  # a long word must not leave its mark alone on a line
        shown = f"{shown[0]}\xa0{shown[2:]}"
    lines = wrap(
        shown,
        width,
        initial_indent=spaces,
        subsequent_indent=spaces + "  " * marked,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\xa0", " ") for line in lines]
