"""The event types that code declares: their names, their models, and the documents of them."""

import logging
from collections.abc import Iterable, Mapping
from enum import Enum
from types import ModuleType
from typing import Any

import orjson

from hookline._domain.catalogue import asyncapi, changes, markdown, openapi
from hookline._domain.catalogue.described import Declared, plain
from hookline._domain.endpoint import Catalogue, event_text
from hookline._domain.instance import MISSING
from hookline.errors import InvalidInput, InvalidPayload
from hookline.events import DECLARED, EventDeclaration

log = logging.getLogger("hookline")
TITLE, VERSION = "Webhooks", "1.0.0"


_NAMED = (str, Enum)


class DeclaredEvents(Catalogue):
    """The catalogue of one `Webhooks`: names as before, and for some of them models."""

    def __init__(self, events: Any = None) -> None:
        """Take what `Webhooks(events=…)` is given; None accepts any well-formed name."""
        names, declarations = ([], []) if events is None else collected(events)
        super().__init__(None if events is None else names)
        self._versions: dict[str, dict[int, EventDeclaration]] = {}
        self._newest: dict[str, EventDeclaration] = {}
        self._of_model: dict[type, list[EventDeclaration]] = {}
        for each in declarations:
            self.declare(each)

    def declare(self, declaration: EventDeclaration) -> None:
        """Add a version of an event type; raise InvalidInput when there is another one of it."""
        versions = self._versions.setdefault(declaration.name, {})
        there = versions.get(declaration.version)
        if there is not None and not _same(there, declaration):
            raise InvalidInput(
                f"event type {declaration.label} is declared already, by {_by(there)}; "
                f"give {_by(declaration)} another name, or the next version=…"
            )
        if there is not None and there.model is not None:
            self._of_model[there.model].remove(there)
        versions[declaration.version] = declaration
        self._newest[declaration.name] = versions[max(versions)]
        if declaration.model is not None:
            self._of_model.setdefault(declaration.model, []).append(declaration)
        self.add(declaration.name)

    @property
    def declarations(self) -> list[EventDeclaration]:
        """Every version of every event type that was declared with `event`."""
        return [each for versions in self._versions.values() for each in versions.values()]

    def described(self, names: Iterable[str] | None = None) -> list[Declared]:
        """Return the declared event types, or some of them. Raises InvalidInput for a bad model."""
        wanted = self._versions if names is None else names
        return [_described(self._versions[each]) for each in wanted]

    def whole(self) -> list[Declared]:
        """Return all event types by name, those of which only the name is known too."""
        found = [*self.described(), *plain(n for n in self.names if n not in self._versions)]
        return sorted(found, key=lambda each: each.name)

    # what is published ---------------------------------------------------------------------

    def shaped(self, event: Any, data: Any) -> tuple[str, Any]:
        """Return the event type and its data as they are sent, checked where there is a model."""
        if not self._newest:
            return self.event_type(event), _given(event, data)
        if not isinstance(event, _NAMED):
            declaration = self._by_instance(event, data)
            return declaration.name, _data(declaration, event)
        name = self.event_type(event)
        declared = self._newest.get(name)
        _given(event, data)
        if declared is None:
            return name, data
        return name, _data(self._meant(declared, data), data)

    def _meant(self, newest: EventDeclaration, data: Any) -> EventDeclaration:
        """Return the version that data are of: that of their class, else the newest."""
        for own in self._of_model.get(type(data), ()):
            if own.name == newest.name:
                return own
        return newest

    def _by_instance(self, event: Any, data: Any) -> EventDeclaration:
        kind = type(event)
        found = next((self._of_model[c] for c in kind.__mro__ if self._of_model.get(c)), [])
        if not found:
            self.event_type(event)  # says what an event may be
        names = dict.fromkeys(each.name for each in found)
        if len(names) > 1:
            raise InvalidInput(
                f"event: {kind.__name__} is the model of {', '.join(names)}: say which, "
                f"trigger({next(iter(names))!r}, {kind.__name__}(…))"
            )
        if data is not MISSING:
            raise InvalidInput(
                f"data: {kind.__name__}(…) is the data already; what else is known of the event "
                "goes into metadata="
            )
        return max(found, key=lambda each: each.version)

    def example(self, event: Any) -> Any:
        """Return an example of the data of an event type with a model; None where there is none."""
        declared = self._newest.get(self.event_type(event))
        return None if declared is None else declared.example

    def check_body(self, name: str, content: bytes) -> None:
        """Raise InvalidPayload when a body that is sent as it is is none of its event type."""
        declared = self._newest.get(name)
        if declared is None or declared.model is None:
            return
        try:
            declared.check_body(orjson.loads(content))
        except InvalidPayload as error:
            _complain(declared, error)


def _data(declaration: EventDeclaration, data: Any) -> Any:
    """Return data as they are sent: as the model writes them, or as they are where it describes."""
    try:
        shaped = declaration.data(data)
    except InvalidPayload as error:
        _complain(declaration, error)
        return data
    return shaped if declaration.enforced else data


def _complain(declaration: EventDeclaration, error: InvalidPayload) -> None:
    """Raise the error, or only warn where the model only describes."""
    if declaration.enforced:
        raise error
    log.warning("Event %s", error)


def _given(event: Any, data: Any) -> Any:
    if data is MISSING:
        raise InvalidInput(
            f"data: missing; trigger({event_text(event)!r}, {{…}}), or an instance of a declared "
            "model alone"
        )
    return data


def _described(versions: Mapping[int, EventDeclaration]) -> Declared:
    schemas = {str(version): versions[version].schema for version in sorted(versions)}
    last = versions[max(versions)]
    return Declared(last.name, last.description, schemas, last.deprecation is not None, last.group)


def _same(one: EventDeclaration, other: EventDeclaration) -> bool:
    """Tell whether two declarations are one, of a module that was loaded twice perhaps."""
    return _by(one) == _by(other)


def _by(declaration: EventDeclaration) -> str:
    model = declaration.model
    return "a declaration without a model" if model is None else _qualified(model)


def _qualified(model: type) -> str:
    return f"{model.__module__}.{model.__qualname__}"


class Documents:
    """The catalogue in code as documents, for receivers and for tools. Opens no database."""

    def __init__(self, events: DeclaredEvents) -> None:
        """Take the event types there are."""
        self._events = events

    def json_schemas(self) -> dict[str, Any]:
        """Return every event type with the JSON Schemas of its body, by version.

        This is what `hookline event-types check` compares, and what a file of it is to hold.
        """
        return changes.document(self._events.whole())

    def openapi(self, title: str = TITLE, version: str = VERSION) -> dict[str, Any]:
        """Return an OpenAPI 3.1 document whose `webhooks` are the event types.

        To have them in the document of a FastAPI application see `hookline.fastapi.describe`.
        """
        return openapi.document(self._events.whole(), title, version)

    def asyncapi(self, title: str = TITLE, version: str = VERSION) -> dict[str, Any]:
        """Return an AsyncAPI 3.0 document: a channel for each event type."""
        return asyncapi.document(self._events.whole(), title, version)

    def markdown(self, title: str = TITLE) -> str:
        """Return a page of Markdown: each event type with its fields and an example."""
        return markdown.page(self._events.whole(), title)


# what `Webhooks(events=…)` takes ----------------------------------------------------------------


def collected(given: Any) -> tuple[list[str], list[EventDeclaration]]:
    """Return the names, and the declarations, that `events=` holds.

    That is an Enum, a module, a declared class or declaration, or an iterable of these and names.
    """
    names: list[str] = []
    found: list[EventDeclaration] = []
    for each in _items(given):
        if isinstance(each, EventDeclaration):
            found.append(each)
        elif _declares(each):
            found += vars(each)[DECLARED]
        elif isinstance(each, ModuleType) or (isinstance(each, type) and issubclass(each, Enum)):
            more = collected(each)
            names += more[0]
            found += more[1]
        elif isinstance(each, type):
            raise InvalidInput(
                f"events: {each.__qualname__} is no event type: put @event('a.name') above it"
            )
        else:
            names.append(event_text(each))
    unique = list({id(each): each for each in found}.values())
    return [*names, *(each.name for each in unique)], unique


def _items(given: Any) -> Iterable[Any]:
    if isinstance(given, ModuleType):
        here = [v for v in vars(given).values() if isinstance(v, EventDeclaration) or _declares(v)]
        if not here:
            raise InvalidInput(
                f"events: the module {given.__name__} has no event types: put @event('a.name') "
                "above its classes"
            )
        return here
    if isinstance(given, EventDeclaration) or _declares(given):
        return (given,)
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidInput(
            "events: expected an Enum, a module, or a list of names and declared classes, got "
            f"{given!r}"
        )
    return given


def _declares(value: Any) -> bool:
    return isinstance(value, type) and DECLARED in vars(value)
