"""Lookups: what is expected of a message, written as Django writes it.

`data__customer__name="张三"` is a path and a value. Parts of a path are names in an object, or
positions in a list. A last part that is one of `OPERATORS` compares otherwise than by equality;
where it is a name, `…__exact` follows it.
"""

import re
from collections.abc import Callable, Mapping, Sized
from enum import Enum
from typing import Any, Final

ROOTS: Final = (
    "application",
    "channels",
    "data",
    "event_id",
    "id",
    "metadata",
    "ordering_key",
    "payload",
    "tags",
)
"""What a path may begin with."""


class _Missing:
    def __repr__(self) -> str:
        return "nothing there"


MISSING: Final = _Missing()
"""What is at the end of a path that leads nowhere."""


def exact(found: Any, wanted: Any) -> bool:
    """Equal, and of the same kind: `True` is not 1, as it is not in JSON."""
    if isinstance(found, bool) != isinstance(wanted, bool):
        return False
    return bool(found == wanted)


def contains(found: Any, wanted: Any) -> bool:
    """Text in a text, an item in a list, or an object that has these members at least."""
    if isinstance(found, str):
        return isinstance(wanted, str) and wanted in found
    if isinstance(found, list | tuple):
        return any(exact(each, wanted) for each in found)
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return all(k in found and exact(found[k], v) for k, v in wanted.items())
    return False


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def judge(found: Any, wanted: Any) -> bool:
        numbers = all(
            isinstance(v, int | float) and not isinstance(v, bool) for v in (found, wanted)
        )
        texts = isinstance(found, str) and isinstance(wanted, str)
        return (numbers or texts) and compare(found, wanted)

    return judge


def _in_text(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda found, wanted: isinstance(found, str) and compare(found, wanted)


def _length(found: Any, wanted: Any) -> bool:
    return isinstance(found, Sized) and len(found) == wanted


OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "contains": contains,
    "endswith": _in_text(str.endswith),
    "exact": exact,
    "gt": _ordered(lambda found, wanted: bool(found > wanted)),
    "gte": _ordered(lambda found, wanted: bool(found >= wanted)),
    "in": lambda found, wanted: any(exact(found, each) for each in wanted),
    "isnull": lambda found, wanted: (found is None or found is MISSING) == wanted,
    "len": _length,
    "lt": _ordered(lambda found, wanted: bool(found < wanted)),
    "lte": _ordered(lambda found, wanted: bool(found <= wanted)),
    "regex": _in_text(lambda found, wanted: re.search(wanted, found) is not None),
    "startswith": _in_text(str.startswith),
}


class Lookup:
    """One expectation. TypeError when its path begins with nothing a message has."""

    def __init__(self, name: str, wanted: Any) -> None:
        *path, last = name.split("__")
        self.operator = last if path and last in OPERATORS else "exact"
        self.path = path if path and last in OPERATORS else [*path, last]
        if self.path[0] not in ROOTS:
            raise TypeError(
                f"{name}: a message has no {self.path[0]!r}; lookups begin with one of "
                f"{', '.join(ROOTS)}"
            )
        self.name = name
        self.wanted = wanted.value if isinstance(wanted, Enum) else wanted
        if isinstance(self.wanted, list | tuple) and self.path[0] in ("channels", "tags"):
            self.wanted = tuple(self.wanted)

    def __str__(self) -> str:
        return f"{self.name}={self.wanted!r}"

    def find(self, message: Any) -> Any:
        """Return what is at the end of the path, or MISSING."""
        root, *rest = self.path
        found = getattr(message, root)
        for part in rest:
            if isinstance(found, Mapping) and part in found:
                found = found[part]
            elif isinstance(found, list | tuple) and part.isdecimal() and int(part) < len(found):
                found = found[int(part)]
            else:
                return MISSING
        return found

    def holds(self, message: Any) -> bool:
        """Tell whether a message is as expected. What is not there is nothing but `isnull`."""
        found = self.find(message)
        if found is MISSING and self.operator != "isnull":
            return False
        return OPERATORS[self.operator](found, self.wanted)
