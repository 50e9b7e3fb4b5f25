"""The catalogue as a page of Markdown, for people who write receivers."""

import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from hookline._domain.catalogue.described import Described, deprecation, deprecation_of
from hookline._domain.catalogue.rows import rows
from hookline._domain.event_type import newest_version
from hookline._domain.example import example

_SPECIAL = re.compile(r"([\\`*_\[\]|])")
LONGEST_RUN = re.compile(r"`+")


def page(event_types: Iterable[Described], title: str) -> str:
    """Return the page: a list of the event types, then each with its fields and an example."""
    found = sorted(event_types, key=lambda each: (each.group_name or "", each.name))
    index = [f"- [`{each.name}`](#{_anchor(each.name)}){_brief(each)}" for each in found]
    parts = [f"# {_words(title)}", "\n".join(index) or "There are no event types yet."]
    for each in found:
        parts += _chapter(each)
    return "\n\n".join(parts) + "\n"


def _brief(found: Described) -> str:
    first = _words(found.description.strip().partition("\n")[0])
    ends = " (deprecated)" if deprecation_of(found) is not None else ""
    return f"{ends}: {first}" if first else ends


def _chapter(found: Described) -> Iterator[str]:
    yield f"## {found.name}"
    ends = deprecation_of(found)
    if ends is not None:
        yield f"**{_words(ends.sentence)}**"
    if found.description.strip():
        yield _words(found.description.strip())
    schemas = found.schemas or {}
    last = newest_version(schemas)
    if last is None:
        yield "Its body is not described."
        return
    yield from _version(schemas[last])
    for version in sorted(schemas, reverse=True):
        if version != last:
            yield f"### {found.name}, version {_words(version)}"
            old = deprecation(schemas[version])
            if old is not None:
                yield f"**{_words(old.sentence)}**"
            yield from _version(schemas[version])


def _version(schema: Any) -> Iterator[str]:
    lines = [
        f"| {_code(row.path)} | {_words(row.kind)} | {'yes' if row.always else ''} | "
        f"{'Deprecated. ' if row.deprecated else ''}{_words(row.description)} |"
        for row in rows(schema)
    ]
    if lines:
        yield "\n".join(("| field | type | always there | |", "|---|---|---|---|", *lines))
    shown = example(schema)
    if shown is not None:
        text = json.dumps(shown, indent=2, ensure_ascii=False)
        fence = "`" * max(3, 1 + max(map(len, LONGEST_RUN.findall(text)), default=0))
        yield f"{fence}json\n{text}\n{fence}"


def _words(text: str) -> str:
    """Return text of somebody's as words: no markup of Markdown or HTML comes through."""
    return _SPECIAL.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))


def _code(text: str) -> str:
    """Return a name as code in a table, if it can be."""
    harmless = re.fullmatch(r"[\w.\[\]* -]+", text)
    return f"`{text}`" if harmless else _words(text)


def _anchor(name: str) -> str:
    return re.sub(r"[^\w-]", "", name.lower())
