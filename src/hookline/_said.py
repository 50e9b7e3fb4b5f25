"""Sentences in English that can be said in another language later."""

from collections.abc import Iterable
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


def message(error: Exception) -> str:
    """Return what an error says, which may be a sentence to say anew."""
    said = error.args[0] if error.args else ""
    return said if isinstance(said, Said) else str(error)
