"""Event types: the catalogue that is kept in the database."""

from collections.abc import Mapping, Sequence
from typing import Any

from hookline._app.scope import Deployment
from hookline._domain.event_type import DEFAULTS, EventType, checked
from hookline._domain.page import Page, Window
from hookline._said import Said
from hookline.errors import EventTypeNotFound, InvalidInput


class EventTypes(Deployment):
    """The event types of a deployment, shared by its applications.

    `schemas` are JSON schemas by version. An archived one is not listed any more, and what is
    published under its name goes on.
    """

    async def create(
        self,
        name: str,
        description: str = "",
        *,
        schemas: Mapping[str, Any] | None = None,
        archived: bool = False,
        deprecated: bool = False,
        group_name: str | None = None,
        feature_flags: Sequence[str] = (),
    ) -> EventType:
        """Make an event type. Raises AlreadyExists, unless the one there is archived."""
        values = checked(
            {
                "name": name,
                "description": description,
                "schemas": schemas,
                "archived": archived,
                "deprecated": deprecated,
                "group_name": group_name,
                "feature_flags": list(feature_flags) or None,
            }
        )
        return await self._ask(lambda e: e.store.event_types.create(values, e.clock.now()))

    async def get(self, name: str) -> EventType:
        """Return an event type; raise EventTypeNotFound."""
        return _found(await self._ask(lambda e: e.store.event_types.get(name)), name)

    async def page(
        self, window: Window | None = None, *, archived: bool = False
    ) -> Page[EventType]:
        """Return a part of the event types, by name; archived ones only if asked for."""
        part = window or Window()
        return await self._ask(lambda e: e.store.event_types.page(part, archived=archived))

    async def update(self, name: str, /, **changes: Any) -> EventType:
        """Change what is named; raise EventTypeNotFound."""
        for field in changes:
            if field not in DEFAULTS:
                raise InvalidInput(f"{field}: an event type has no such field that can be changed")
        values = checked(changes)
        if "feature_flags" in values:
            values["feature_flags"] = list(values["feature_flags"] or ()) or None
        found = await self._ask(lambda e: e.store.event_types.update(name, values, e.clock.now()))
        return _found(found, name)

    async def delete(self, name: str, *, expunge: bool = False) -> None:
        """Archive an event type, or, with `expunge`, forget it; raise EventTypeNotFound."""
        done = await self._ask(
            lambda e: e.store.event_types.delete(name, e.clock.now(), expunge=expunge)
        )
        if not done:
            raise EventTypeNotFound(Said("no event type {name!r}", name=name))


def _found(found: EventType | None, name: str) -> EventType:
    if found is None:
        raise EventTypeNotFound(Said("no event type {name!r}", name=name))
    return found
