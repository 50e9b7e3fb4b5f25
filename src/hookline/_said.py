"""Sentences in English that can be said in another language later."""

from collections.abc import Iterable
from functools import reduce
from typing import Any, Self


class Said(str):
    """A sentence that remembers how it was made: its pattern, and the values put in.

    Text like any other. Who shows it to people may say the pattern in their language, and the
    values that are sentences, too; the pattern is as `str.format` has it: `{count:,}`, `{name!r}`.
    """

    __slots__ = ("pattern", "values")
    pattern: str
    values: dict[str, Any]

    def __new__(cls, pattern: str, /, **values: Any) -> Self:
        """Put the values into the pattern; without values braces in it are only braces."""
        said = super().__new__(cls, pattern.format(**values) if values else pattern)
        said.pattern, said.values = pattern, values
        return said


def joined(separator: str, parts: Iterable[str]) -> Said:
    """Return sentences one after the other, as `str.join` does: each can be said anew."""
    values = {f"part{number}": part for number, part in enumerate(parts)}
    return Said(separator.join(f"{{{name}}}" for name in values), **values)


def row(parts: Iterable[str]) -> str:
    """Return one text or several in a row: `a, b, c`."""
    return reduce(lambda first, last: Said("{first}, {last}", first=first, last=last), parts)


def listed(parts: Iterable[str]) -> str:
    """Return one text or several as people list them: `a, b and c`."""
    *others, last = parts
    return Said("{first} and {last}", first=row(others), last=last) if others else last


def either(parts: Iterable[str]) -> str:
    """Return texts with "or" between them."""
    return reduce(lambda first, last: Said("{first} or {last}", first=first, last=last), parts)


def message(error: Exception) -> str:
    """Return what an error says, which may be a sentence to say anew."""
    said = error.args[0] if error.args else ""
    return said if isinstance(said, Said) else str(error)
