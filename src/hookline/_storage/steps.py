"""Statements, one after the other, for whoever runs them: our drivers, and connections of others.

What is to be said to the database is a generator of statements. It is sent each one's first row
and returns what came of it all. `drive` runs it on a synchronous connection, `adrive` on an
asynchronous one.
"""

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")
Row: TypeAlias = Sequence[Any] | None


class Statement(NamedTuple):
    """SQL in the form of our own driver for the database: `$1` or `?`, by position; `:name`."""

    sql: str
    values: Any = ()
    many: bool = False
    """Whether `values` are those of several executions."""


Steps: TypeAlias = Generator[Statement, Row, T]


def drive(steps: Steps[T], run: Callable[[Statement], Row]) -> T:
    """Run the steps to their end."""
    try:
        statement = next(steps)
        while True:
            statement = steps.send(run(statement))
    except StopIteration as end:
        result: T = end.value
        return result


async def adrive(steps: Steps[T], run: Callable[[Statement], Awaitable[Row]]) -> T:
    """Run the steps to their end, awaiting each."""
    try:
        statement = next(steps)
        while True:
            statement = steps.send(await run(statement))
    except StopIteration as end:
        result: T = end.value
        return result
