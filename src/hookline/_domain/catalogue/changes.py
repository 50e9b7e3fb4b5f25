"""A whole catalogue, kept in a file and compared with what it was: which change breaks receivers.

The file is a JSON object: `{"hookline": 1, "event_types": {name: {…, "schemas": {version: …}}}}`.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

from hookline._domain.catalogue.compare import BREAKS, SAFE, Difference, compare
from hookline._domain.catalogue.described import Declared, Described, day, deprecation
from hookline._domain.event_type import newest, newest_version
from hookline.errors import InvalidInput

FORMAT = 1


class CatalogueChange(NamedTuple):
    """One change of a catalogue: `breaking` when receivers of the event type may fail on it.

    `version` is that of the schema; None when it is about the event type as a whole. `path` is the
    field in the body, empty for all of it.
    """

    event_type: str
    version: str | None
    path: str
    breaking: bool
    what: str

    def __str__(self) -> str:
        """Say it in one line: `customer.created 1: data.phone: was removed`."""
        name = f"{self.event_type} {self.version}" if self.version else self.event_type
        return f"{name}: {self.path}: {self.what}" if self.path else f"{name}: {self.what}"


def document(event_types: Iterable[Described]) -> dict[str, Any]:
    """Return the catalogue as the file has it, in the order of the names."""
    found = {}
    for each in sorted(event_types, key=lambda each: each.name):
        found[each.name] = {
            "description": each.description,
            **({"deprecated": True} if each.deprecated else {}),
            **({"group": each.group_name} if each.group_name else {}),
            "schemas": dict(each.schemas or {}),
        }
    return {"hookline": FORMAT, "event_types": found}


def read(found: Any, name: str) -> list[Declared]:
    """Return what a file holds; raise InvalidInput saying what is wrong with it."""
    if not isinstance(found, Mapping) or "event_types" not in found:
        raise InvalidInput(
            f"{name}: expected a catalogue, as hookline event-types export --format json-schema "
            "writes it"
        )
    if found.get("hookline") != FORMAT:
        raise InvalidInput(
            f"{name}: is of format {found.get('hookline')!r}, expected {FORMAT}; write it anew "
            "with this version of Hookline"
        )
    types = found["event_types"]
    if not isinstance(types, Mapping):
        raise InvalidInput(f"{name}: event_types: expected an object")
    return [_read(each, value, f"{name}: {each}") for each, value in types.items()]


def _read(name: str, value: Any, where: str) -> Declared:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{where}: expected an object, got {type(value).__name__}")
    schemas = value.get("schemas", {})
    if not isinstance(schemas, Mapping) or not all(
        isinstance(each, Mapping) for each in schemas.values()
    ):
        raise InvalidInput(f"{where}: schemas: expected an object of schemas by version")
    text, group = value.get("description", ""), value.get("group")
    return Declared(
        name,
        text if isinstance(text, str) else "",
        schemas,
        value.get("deprecated") is True,
        group if isinstance(group, str) else None,
    )


def changes(
    old: Iterable[Described], new: Iterable[Described], today: date
) -> list[CatalogueChange]:
    """Return what changed from one catalogue to another, breaking changes first.

    What was deprecated with a day from which on it is not sent may go from that day on.
    """
    before = {each.name: each for each in old}
    after = {each.name: each for each in new}
    found: list[CatalogueChange] = []
    for name, was in before.items():
        if name in after:
            found += _of_type(was, after[name], today)
        else:
            found.append(_gone(name, None, newest(was.schemas or {}), today))
    for name in after.keys() - before.keys():
        found.append(CatalogueChange(name, None, "", SAFE, "is new"))
    return sorted(found, key=lambda c: (not c.breaking, c.event_type, c.version or "", c.path))


def _of_type(old: Described, new: Described, today: date) -> Iterator[CatalogueChange]:
    before, after = old.schemas or {}, new.schemas or {}
    for version, schema in before.items():
        if version not in after:
            yield _gone(new.name, version, schema, today)
            continue
        for each in compare(schema, after[version]):
            yield _changed(new.name, version, each)
        if not _is_deprecated(schema) and _is_deprecated(after[version]):
            yield CatalogueChange(new.name, version, "", SAFE, str(deprecation(after[version])))
    last = newest_version(before)
    for version in after.keys() - before.keys():
        broken = compare(before[last], after[version]) if last is not None else ()
        yield _added(new.name, version, last, [each for each in broken if each.breaking])


def _changed(name: str, version: str, difference: Difference) -> CatalogueChange:
    return CatalogueChange(name, version, difference.path, difference.breaking, difference.what)


def _added(name: str, version: str, last: str | None, broken: list[Difference]) -> CatalogueChange:
    what = "is a new version"
    if broken:
        said = "; ".join(map(str, broken[:3])) + (" …" if len(broken) > 3 else "")  # noqa: PLR2004
        what += f", which those written for {last} do not understand: {said}"
    return CatalogueChange(name, version, "", SAFE, what)


def _gone(name: str, version: str | None, schema: Any, today: date) -> CatalogueChange:
    said = deprecation(schema)
    sunset = day(said.sunset, f"{name}: x-sunset") if said is not None else None
    if sunset is not None and sunset <= today:
        return CatalogueChange(name, version, "", SAFE, f"was removed, as announced for {sunset}")
    until = f" before {sunset}, the day announced" if sunset is not None else ""
    return CatalogueChange(name, version, "", BREAKS, f"was removed{until}")


def _is_deprecated(schema: Any) -> bool:
    return deprecation(schema) is not None
