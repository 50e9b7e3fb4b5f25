"""The reference page of metrics, for `generate.py`: what the collectors say of themselves."""

# A script, not a package; and the rows of a table cannot be wrapped.
# ruff: noqa: INP001, E501

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry

from hookline._domain.backlog import MOST_COUNTED, Backlog
from hookline._observe.outcomes import BUCKETS
from hookline._observe.prometheus import BacklogCollector, Metrics


class _Source:
    """A database that has answered."""

    def look(self) -> tuple[bool, Backlog]:
        return True, Backlog()


def page() -> str:
    """Return the page, from the registry that `/metrics` exposes."""
    registry = CollectorRegistry()
    Metrics(registry)
    own = [_row(family) for family in registry.collect()]
    database = [_row(family) for family in BacklogCollector(_Source()).collect()]  # type: ignore[arg-type]
    return f"""# Metrics

With the extra `prometheus`, `/metrics` of `hookline serve`, or a registry of yours, has these.
[Watch Hookline](../how-to/observe.md) says how to turn them on, what to alert on, and what OpenTelemetry
has. No label is chosen by a customer: no URL, event type or application.

## Of a process

Counted as it happens; of all processes together where `PROMETHEUS_MULTIPROC_DIR` is shared.

{_table(own)}
The buckets of the histogram are {", ".join(f"{each:g}" for each in BUCKETS)} seconds.

## Of the database

Looked up when somebody scrapes, every 5 seconds at most. Counting stops at {MOST_COUNTED:,}. When the
database does not answer, `hookline_database_up` is 0 and the others are missing.

{_table(database)}
OpenTelemetry has the same by its own naming, `hookline.attempts` for `hookline_attempts_total`.
"""


def _table(rows: Iterable[str]) -> str:
    return "| metric | kind | | labels |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _row(family: Any) -> str:
    name = family.name + ("_total" if family.type == "counter" else "")
    labels: dict[str, set[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label != "le":
                labels.setdefault(label, set()).add(value)
    said = "; ".join(f"`{label}`: {_values(values)}" for label, values in labels.items())
    return f"| `{name}` | {family.type} | {family.documentation} | {said} |"


def _values(values: set[str]) -> str:
    return ", ".join(f"`{each}`" for each in sorted(values))
