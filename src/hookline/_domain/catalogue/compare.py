"""Which change of a schema breaks who receives what it describes.

Whoever was written for the old schema reads what the new one allows. So a change is safe when the
new schema allows nothing that the old one did not, and takes no field away; unknown fields are
ignored, as receivers of JSON do.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from hookline._domain.catalogue.pointers import followed, target
from hookline._domain.catalogue.rows import repr_json

SAFE, BREAKS = False, True
MAX_DEPTH = 40
MAX_BRANCHES = 50
ANY = "any"


class Difference(NamedTuple):
    """One difference: at which field (empty for the whole body), and what became of it."""

    path: str
    breaking: bool
    what: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.path}: {self.what}" if self.path else self.what


def compare(old: Any, new: Any) -> list[Difference]:
    """Return how two schemas differ for a receiver; nothing when they do not.

    Descriptions, titles, examples and defaults are words for people and are not compared.
    """
    return list(dict.fromkeys(_Comparison(old, new).of(old, new, "")))


def _are_same(old: Any, new: Any) -> bool:
    return bool(old == new) and repr(old) == repr(new)  # 1 is True, and 1.0, for Python


def _place(schema: Any, root: Any) -> tuple[int, str]:
    """Return what is the same wherever a schema refers to the same, in the same way."""
    found, beside = target(schema, root)
    return id(found), repr(beside)


def kinds(schema: Any, root: Any) -> set[str]:
    """Return the kinds that a value may be of: `object`, `string`, …, or `any`."""
    return {_kind(each) for each in _branches(schema, root)}


class _Comparison:
    """One comparison of two whole schemas, which references are looked up in."""

    def __init__(self, old: Any, new: Any) -> None:
        self._old, self._new = old, new
        self._open: set[tuple[Any, ...]] = set()
        self._same = _are_same(old, new)

    def of(self, old: Any, new: Any, path: str) -> list[Difference]:
        if self._same or (_are_same(old, new) and "$ref" not in repr(old)):
            return []
        pair = _place(old, self._old), _place(new, self._new)
        if pair in self._open or len(self._open) > MAX_DEPTH:
            return []  # a schema that contains itself: the outer comparison finds it
        self._open.add(pair)
        try:
            return self._alternatives(_branches(old, self._old), _branches(new, self._new), path)
        finally:
            self._open.discard(pair)

    def _alternatives(
        self, old: list[dict[str, Any]], new: list[dict[str, Any]], path: str
    ) -> list[Difference]:
        """Compare alternatives: each new one with the old one that is nearest to it."""
        found: list[Difference] = []
        used: set[int] = set()
        more: list[dict[str, Any]] = []
        for each in new:
            fits = [(i, before) for i, before in enumerate(old) if _covers(before, each)]
            if not fits:
                more.append(each)
                continue
            compared = [(i, self._branch(before, each, path)) for i, before in fits]
            index, nearest = min(compared, key=lambda c: (sum(d.breaking for d in c[1]), len(c[1])))
            used.add(index)
            found += nearest
        if more:
            found.append(Difference(path, BREAKS, _more(old, more, is_all=len(more) == len(new))))
            return found
        for index, each in enumerate(old):
            if index not in used and not any(_covers(before, each) for before in new):
                found.append(Difference(path, SAFE, f"{_called(each)} is not sent any more"))
        return found

    def _branch(self, old: dict[str, Any], new: dict[str, Any], path: str) -> list[Difference]:
        if _kind(old) == ANY:
            if _kind(new) == ANY:
                return []
            return [Difference(path, SAFE, f"was anything, is {_called(new)}")]
        found = []
        if _kind(old) != _kind(new):  # an integer where any number could be
            found.append(Difference(path, SAFE, f"was {_kind(old)}, is {_kind(new)}"))
        found += [Difference(path, breaking, what) for breaking, what in _of_values(old, new)]
        found += self._object(old, new, path) if _kind(new) == "object" else ()
        if _kind(new) == "array":
            found += self._array(old, new, path)
        return found

    def _object(self, old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Difference]:
        before, after = _mapping(old, "properties"), _mapping(new, "properties")
        needed, sure = _names(old), _names(new)
        for name in before:
            here = f"{path}.{name}" if path else name
            if name not in after:
                yield Difference(here, BREAKS, "was removed")
                continue
            if name in needed and name not in sure:
                yield Difference(here, BREAKS, "was always there, may be missing now")
            elif name in sure and name not in needed:
                yield Difference(here, SAFE, "is always there now")
            yield from self.of(before[name], after[name], here)
        for name in after:
            if name not in before:
                here = f"{path}.{name}" if path else name
                yield Difference(here, SAFE, "was added")
        rest, more = old.get("additionalProperties"), new.get("additionalProperties")
        if isinstance(rest, Mapping):
            yield from self.of(rest, {} if more is None else more, f"{path}.*")

    def _array(self, old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Difference]:
        before, after = _first_items(old), _first_items(new)
        rest = old.get("items", {}), new.get("items", {})
        for index in range(max(len(before), len(after))):
            first = before[index] if index < len(before) else rest[0]
            second = after[index] if index < len(after) else rest[1]
            yield from self.of(first, second, f"{path}[{index}]")
        if not before or len(before) == len(after):
            yield from self.of(*rest, f"{path}[]")


# alternatives -----------------------------------------------------------------------------------


def _branches(schema: Any, root: Any, depth: int = 0) -> list[dict[str, Any]]:
    """Return what a schema allows as alternatives of one kind each; values listed are merged."""
    return _merged(_flat(schema, root, depth))[:MAX_BRANCHES]


def _flat(schema: Any, root: Any, depth: int) -> list[dict[str, Any]]:
    if schema is False:
        return []
    known = followed(schema, root)
    if not isinstance(known, Mapping) or depth > MAX_DEPTH:
        return [{}]
    whole = _all_of(known, root, depth)
    for name in ("anyOf", "oneOf"):
        if isinstance(whole.get(name), list):
            rest = {key: value for key, value in whole.items() if key != name}
            found = []
            for each in whole[name][:MAX_BRANCHES]:
                for branch in _flat(each, root, depth + 1):
                    found += _by_kind(_both(rest, branch))
            return found
    return _by_kind(whole)


def _all_of(schema: Mapping[str, Any], root: Any, depth: int) -> dict[str, Any]:
    """Return a schema with what `allOf` adds to it; of two words for one thing the last counts."""
    whole = {key: value for key, value in schema.items() if key != "allOf"}
    parts = schema.get("allOf")
    for part in parts if isinstance(parts, list) else ():
        known = followed(part, root)
        if isinstance(known, Mapping) and depth <= MAX_DEPTH:
            whole = _both(whole, _all_of(known, root, depth + 1))
    return whole


def _both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    both = {**one, **other}
    if "properties" in one and "properties" in other:
        both["properties"] = {**_mapping(one, "properties"), **_mapping(other, "properties")}
    if "required" in one and "required" in other:
        both["required"] = sorted(_names(one) | _names(other))
    return both


def _by_kind(schema: dict[str, Any]) -> list[dict[str, Any]]:
    values = _values(schema)
    kinds = schema.get("type")
    if values is None:
        return [{**schema, "type": each} for each in kinds] if isinstance(kinds, list) else [schema]
    by_kind: dict[str, list[Any]] = {}
    for value in values:
        by_kind.setdefault(_kind_of(value), []).append(value)
    rest = {key: value for key, value in schema.items() if key not in ("const", "enum")}
    return [{**rest, "type": name, "enum": found} for name, found in by_kind.items()]


def _merged(branches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put alternatives that only list values of one kind together into one list."""
    found: list[dict[str, Any]] = []
    lists: dict[str, dict[str, Any]] = {}
    for each in branches:
        name = _kind(each)
        if each.get("enum") is None or name in ("object", "array"):
            found.append(each)
        elif name in lists:
            lists[name]["enum"] = [*lists[name]["enum"], *each["enum"]]
        else:
            lists[name] = dict(each)
            found.append(lists[name])
    return found


def _covers(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Tell whether the old alternative is one that the new one can be compared with."""
    before, after = _kind(old), _kind(new)
    return before in (ANY, after) or (before, after) == ("number", "integer")


def _more(old: list[dict[str, Any]], new: list[dict[str, Any]], *, is_all: bool) -> str:
    if any(_kind(each) == ANY for each in new):
        return f"was {_any_of(old)}, may be anything now"
    said = "is" if is_all else "may also be"
    return f"was {_any_of(old)}, {said} {_any_of(new)}" + ("" if is_all else " now")


def _any_of(branches: list[dict[str, Any]]) -> str:
    return " or ".join(dict.fromkeys(map(_called, branches))) or "nothing"


def _called(schema: dict[str, Any]) -> str:
    values = schema.get("enum")
    if isinstance(values, list) and values and values != [None]:
        return _listed(values)
    form = schema.get("format")
    return f"{_kind(schema)} ({form})" if isinstance(form, str) else _kind(schema)


def _listed(values: list[Any]) -> str:
    shown = ", ".join(map(repr_json, values[:5]))
    return f"{shown} and {len(values) - 5} more" if len(values) > 5 else shown  # noqa: PLR2004


# one kind ---------------------------------------------------------------------------------------


def _of_values(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    """Yield how the values of one kind changed, and whether that breaks."""
    before, after = old.get("enum"), new.get("enum")
    if isinstance(before, list) and isinstance(after, list):
        yield from _of_lists(before, after)
        return
    if isinstance(before, list):
        yield BREAKS, f"was one of {_listed(before)}, may be any {_kind(new)} now"
        return
    if isinstance(after, list):
        yield SAFE, f"is one of {_listed(after)} now"
        return
    for word in _WORDS:
        yield from _of_word(word, old.get(word), new.get(word))
    for word, widens in _BOUNDS.items():
        yield from _of_bound(word, old.get(word), new.get(word), widens)


_WORDS = (
    "format",
    "pattern",
    "multipleOf",
    "uniqueItems",
    "contentEncoding",
    "patternProperties",
    "propertyNames",
    "contains",
    "dependentRequired",
    "not",
    "if",
)
"""What only narrows. Of two of them that differ nobody says which allows more: that breaks."""


def _of_lists(before: list[Any], after: list[Any]) -> Iterator[tuple[bool, str]]:
    keys = [[(type(v), repr_json(v)) for v in values] for values in (before, after)]
    added = [v for v, key in zip(after, keys[1], strict=True) if key not in keys[0]]
    removed = [v for v, key in zip(before, keys[0], strict=True) if key not in keys[1]]
    if added:
        yield BREAKS, f"may be {_listed(added)} now, was {_listed(before)}"
    if removed:
        yield SAFE, f"{_listed(removed)} is not sent any more"


def _of_word(word: str, before: Any, after: Any) -> Iterator[tuple[bool, str]]:
    if before == after or (not before and not after):
        return
    if not before:
        yield SAFE, f"has {word}{_shown(after)} now"
    elif not after:
        yield BREAKS, f"{word}{_shown(before)} does not hold any more"
    elif _shown(before) or _shown(after):
        yield BREAKS, f"{word} was{_shown(before)}, is{_shown(after)}"
    else:
        yield BREAKS, f"{word} is another one now"


def _shown(value: Any) -> str:
    return "" if isinstance(value, dict | list) else f" {repr_json(value)}"


_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(
        ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties"),
        lambda before, after: after > before,
    ),
    **dict.fromkeys(
        ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties"),
        lambda before, after: after < before,
    ),
}


def _of_bound(
    word: str, before: Any, after: Any, widens: Callable[[Any, Any], bool]
) -> Iterator[tuple[bool, str]]:
    numbers = [each if isinstance(each, int | float) else None for each in (before, after)]
    if numbers[0] == numbers[1]:
        return
    if numbers[0] is None:
        yield SAFE, f"has {word} {numbers[1]} now"
    elif numbers[1] is None:
        yield BREAKS, f"{word} {numbers[0]} does not hold any more"
    else:
        yield widens(*numbers), f"{word} was {numbers[0]}, is {numbers[1]}"


def _kind(schema: Mapping[str, Any]) -> str:
    name = schema.get("type")
    if isinstance(name, str):
        return name
    return "object" if "properties" in schema else ANY


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    for kind, name in (
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
    ):
        if isinstance(value, kind):
            return name
    return "object"


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def _first_items(schema: Mapping[str, Any]) -> list[Any]:
    found = schema.get("prefixItems")
    return found if isinstance(found, list) else []


def _mapping(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = schema.get(name)
    return found if isinstance(found, Mapping) else {}


def _names(schema: Mapping[str, Any]) -> set[str]:
    found = schema.get("required")
    return {each for each in found if isinstance(each, str)} if isinstance(found, list) else set()
