"""The table on the terminal, the JSON that is kept, and the page in the docs."""

import json
import statistics
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.databases import DATABASES
from benchmarks.runner import Row, ratio_text
from benchmarks.scenarios import SCENARIOS

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "reference" / "benchmarks.md"
BEGIN, END = "<!-- table: written by `python -m benchmarks --page` -->", "<!-- /table -->"
BEGIN_PAGES, END_PAGES = (
    "<!-- pages: written by `python -m benchmarks --page` -->",
    "<!-- /pages -->",
)
PAGES_HEADINGS = (
    "database",
    "face",
    "asked for",
    "median, ms",
    "over 100 ms",
    "slowest, ms",
    "first time, at most",
    "CPU, ms",
    "most CPU, ms",
)
HEADINGS = (
    "scenario",
    "database",
    "what",
    "figure",
    "reference",
    "ratio",
    "bar",
    "holds",
    "CPU µs",
)


def number(value: float) -> str:
    """Return a figure as one reads it."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cells(row: Row) -> list[str]:
    """Return one line of the table."""
    name = f"{row.scenario} {row.part}".strip()
    if row.figure is None:
        return [name, row.database, row.note, *[""] * 6]
    reference = ""
    if row.reference is not None:
        reference = f"{number(row.reference)} {row.unit} ({row.reference_what})"
    what = f"{row.what} ({row.note})" if row.note else row.what
    return [
        name,
        row.database,
        what,
        f"{number(row.figure)} {row.unit}",
        reference,
        "" if row.ratio is None else ratio_text(row.ratio),
        row.bar,
        holds(row),
        processor(row),
    ]


def holds(row: Row) -> str:
    """Return whether the bar holds, naming the part that does not."""
    if not row.verdict:
        return ""
    failed = [part for part, held in row.verdict.items() if not held]
    if not failed:
        return "yes"
    return "no" if len(failed) == len(row.verdict) else f"{failed[0]}: no"


def processor(row: Row) -> str:
    """Return CPU per delivery: ours, the database server's, and the reference's."""
    if row.cpu is None:
        return ""
    ours = number(row.cpu) + (f" + {number(row.server_cpu)}" if row.server_cpu else "")
    return f"{ours} / {number(row.reference_cpu)}" if row.reference_cpu else ours


def line(row: Row) -> str:
    """Return a row as one line of text, printed as soon as it is known."""
    found = cells(row)
    if row.figure is None:
        return "  ".join(found[:3])
    return f"{' · '.join(found[:2])} · {found[3]}, {found[5]} of {found[4]}; holds: {found[7]}"


def show(console: Console, rows: list[Row], *, profile: bool) -> None:
    """Print the table, and the threads of the engine when asked."""
    table = Table(title=title(machine.describe()), title_justify="left", show_lines=True)
    for heading in (*HEADINGS, "load", "others"):
        table.add_column(heading)
    for row in rows:
        style = "red" if not all(row.verdict.values()) else None
        table.add_row(*cells(row), f"{row.load:g}", f"{row.others:.0%}", style=style)
    console.print(table)
    console.print(
        "figure: the best of its rounds. CPU µs per delivery: engine [+ database server] "
        "/ reference. load: average when the row began. others: how busy the machine was before it."
    )
    if profile:
        show_threads(console, rows)


def show_threads(console: Console, rows: list[Row]) -> None:
    """Print where the engine's process spent its time, in the best run of each row."""
    table = Table(title="CPU µs per delivery, by thread of the engine's process")
    for heading in ("scenario", "database", "thread", "µs", "of one core"):
        table.add_column(heading)
    for row in rows:
        runs = [run for run in row.runs if run.get("more", {}).get("threads")]
        if not runs:
            continue
        more = max(runs, key=lambda run: run["figure"])["more"]
        for name, spent in sorted(more["threads"].items(), key=lambda item: -item[1]):
            each, share = spent / more["done"] * 1e6, spent / more["seconds"]
            table.add_row(row.scenario, row.database, name, number(each), f"{share:.0%}")
    console.print(table)


def show_list(console: Console) -> None:
    """Print the scenarios and what they do."""
    table = Table(box=None)
    for heading in ("scenario", "databases", "what is done"):
        table.add_column(heading)
    for one in SCENARIOS.values():
        table.add_row(one.name, ", ".join(one.databases), one.help)
    console.print(table)


def title(about: dict[str, Any]) -> str:
    """Return the machine in one line."""
    return (
        f"{about['cores']} cores, {about['cpu']}, {about['system']}, Python {about['python']}, "
        f"libcurl {about['libcurl']}, SQLite {about['sqlite']}"
    )


def write(rows: list[Row]) -> Path:
    """Keep the rows in the day's file; a row measured again replaces the older one."""
    path = RESULTS / f"{time.strftime('%Y-%m-%d')}.json"
    older = json.loads(path.read_text())["rows"] if path.exists() else []
    anew = {(row.scenario, row.database) for row in rows}
    kept = [row for row in older if (row["scenario"], row["database"]) not in anew]
    kept += [asdict(row) for row in rows]
    content = {"machine": machine.describe(), "rows": sorted(kept, key=_position)}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    return path


def _position(row: dict[str, Any]) -> tuple[int, int]:
    names = list(SCENARIOS)
    return list(DATABASES).index(row["database"]), names.index(row["scenario"])


def write_page() -> Path:
    """Write the newest results into the page; return its path."""
    newest = max(RESULTS.glob("*.json"), default=None)
    if newest is None:
        raise SystemExit(f"no results in {RESULTS}: run `python -m benchmarks` first")
    results = json.loads(newest.read_text())
    rows = [Row(**row) for row in results["rows"]]
    page = PAGE.read_text("utf-8")
    for begin, end, table in (
        (BEGIN, END, markdown(newest.stem, results["machine"], rows)),
        (BEGIN_PAGES, END_PAGES, pages_table(rows)),
    ):
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    PAGE.write_text(page, "utf-8")
    return PAGE


def pages_table(rows: list[Row]) -> str:
    """Return what the requests of `pages` took, a line for each face."""
    lines = [f"| {' | '.join(PAGES_HEADINGS)} |", f"|{'---|' * len(PAGES_HEADINGS)}"]
    for row in rows:
        if row.scenario != "pages" or not row.runs:
            continue
        slowest = max(row.runs, key=lambda run: run["median"])
        busiest = max(row.runs, key=lambda run: run["cpu"])
        cells = (
            row.database,
            row.part,
            str(len(row.runs)),
            number(statistics.median(run["median"] for run in row.runs)),
            str(sum(run["median"] > 100 for run in row.runs)),
            f"{number(slowest['median'])}, `{slowest['page']}`",
            number(max(run["first"] for run in row.runs)),
            number(statistics.median(run["cpu"] for run in row.runs)),
            f"{number(busiest['cpu'])}, `{busiest['page']}`",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def markdown(day: str, machine_: dict[str, Any], rows: list[Row]) -> str:
    """Return the results as the page shows them."""
    head = (*HEADINGS, "scale", "load", "others")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        more = [f"{row.scale:g}", f"{row.load:g}", f"{row.others:.0%}"]
        lines.append(f"| {' | '.join([*cells(row), *more])} |")
    return f"\n{day}, {title(machine_)}.\n\n" + "\n".join(lines) + "\n"
