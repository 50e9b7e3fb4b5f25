"""Declare event types: a name, a description, and the model that their data have.

    @event("customer.created", description="A customer was created.")
    class CustomerCreated(BaseModel):
        id: str
        name: str

    webhooks = Webhooks(events=[CustomerCreated])
    await webhooks.trigger(CustomerCreated(id="123", name="Ada"))

A model is a pydantic model, a dataclass or a TypedDict. Models need pydantic 2.11 or newer:
`pip install 'hookline[events]'`. A plain Enum of names, or names alone, need nothing.
"""

import inspect
from datetime import date
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from hookline._domain import event_type
from hookline._domain.catalogue import changes as _catalogues
from hookline._domain.catalogue.changes import CatalogueChange
from hookline._domain.catalogue.described import Deprecation, body_schema
from hookline._domain.catalogue.model import Model
from hookline._domain.endpoint import event_text, well_formed
from hookline._domain.envelope import plain
from hookline._domain.example import example as _made_up
from hookline.errors import InvalidInput

__all__ = ["CatalogueChange", "EventDeclaration", "changes", "event"]

T = TypeVar("T", bound=type)
DECLARED = "__hookline_events__"
"""The attribute of a class that says which event types it is the model of."""
MAX_VERSION = 1_000_000


class _Options(NamedTuple):
    """What is said of one version of an event type, beside its name and its model."""

    version: int = 1
    description: str | None = None
    example: Any = None
    group: str | None = None
    deprecated: bool | date = False
    sunset: date | None = None
    successor: str | None = None
    enforce: bool = True


class EventDeclaration:
    """One version of an event type, as `event` declares it.

    Called with a class it becomes the decorator that gives the event type its model.
    """

    def __init__(self, name: str, options: _Options, model: type | None = None) -> None:
        """`model` is None for an event type of which the data are not described."""
        self.name = name
        self.model = model
        self._options = options
        # Here, and not when it is first used: a missing pydantic is said where the decorator is.
        self._checker = None if model is None else Model(model, self.label)

    def __repr__(self) -> str:
        model = "" if self.model is None else f", model={self.model.__qualname__}"
        return f"event({self.name!r}, version={self.version}{model})"

    def __call__(self, model: T) -> T:
        """Give the event type its model, which is returned as it is."""
        own = self.of(model)
        setattr(model, DECLARED, (own, *vars(model).get(DECLARED, ())))
        return model

    def of(self, model: type) -> "EventDeclaration":
        """Return this event type with a model, which is left as it is."""
        return EventDeclaration(self.name, self._options, model)

    @property
    def version(self) -> int:
        """The version of the schema, from 1."""
        return self._options.version

    @property
    def enforced(self) -> bool:
        """Whether data that do not fit the model are refused; otherwise they are sent as given."""
        return self._options.enforce

    @property
    def group(self) -> str | None:
        """The group it is shown in."""
        return self._options.group

    @property
    def deprecation(self) -> Deprecation | None:
        """Since when it is deprecated, until when it is sent, what follows it; else None."""
        of = self._options
        if not of.deprecated and of.sunset is None and of.successor is None:
            return None
        since = of.deprecated if isinstance(of.deprecated, date) else None
        return Deprecation(
            since.isoformat() if since else None,
            of.sunset.isoformat() if of.sunset else None,
            of.successor,
        )

    @property
    def description(self) -> str:
        """What it was described with, else the first paragraph of the model's docstring."""
        if self._options.description is not None or self.model is None:
            return self._options.description or ""
        text = vars(self.model).get("__doc__") or ""
        if text.startswith(f"{self.model.__name__}("):
            return ""  # the one that dataclasses write
        return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())

    @property
    def label(self) -> str:
        """How errors call it."""
        return self.name if self.version == 1 else f"{self.name} version {self.version}"

    def data(self, value: Any) -> Any:
        """Return the data as they are sent: checked, and made of what JSON has.

        Without a model they are returned as they came. Raises InvalidPayload naming the event
        type, the field, what came and what was expected.
        """
        checker = self._checker
        return value if checker is None else checker.dumped(value)

    def check_body(self, body: Any) -> None:
        """Raise InvalidPayload when a body that is sent as it is does not hold such data."""
        if self._checker is not None:
            self._checker.check_body(body)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the whole body. Raises InvalidInput for an unusable model."""
        checker = self._checker
        return body_schema(
            self.name,
            {"type": "object"} if checker is None else checker.schema,
            description=self.description,
            example=self.example,
            deprecated=self.deprecation,
        )

    @cached_property
    def example(self) -> Any:
        """An example of the data: the one given, else one made of the model's; None without."""
        given, checker = self._options.example, self._checker
        if checker is None:
            return None if given is None else plain(given, "example")
        if given is not None:
            return checker.dumped(given, "example")
        made = _made_up(checker.schema)
        return made if checker.fits(made) else None


def event(
    name: str | Enum,
    *,
    version: int = 1,
    description: str | None = None,
    example: Any = None,
    group: str | None = None,
    deprecated: bool | date = False,
    sunset: date | None = None,
    successor: str | Enum | None = None,
    enforce: bool = True,
) -> EventDeclaration:
    """Return the declaration of an event type: a decorator for its model, or of use without one.

    `version` counts the versions of the schema, from 1. `description` is what happened, else the
    first paragraph of the model's docstring. `example` is an example of the data, else one is made
    of the model's and its fields' examples. `deprecated` may be the day since when; `sunset` is the
    day from which on it is not sent, `successor` the event type to use instead: both deprecate it
    as well. With `enforce=False` the model only describes: data are sent as they are given, and the
    log warns of those that do not fit. Raises InvalidInput, and ImportError for a model without
    pydantic.
    """
    text = well_formed(event_text(name))
    if isinstance(version, bool) or not isinstance(version, int) or not 0 < version <= MAX_VERSION:
        raise InvalidInput(f"version: expected a number from 1 to {MAX_VERSION:,}, got {version!r}")
    event_type.checked({"description": description or "", "group_name": group})
    for option, value in (("deprecated", deprecated), ("sunset", sunset)):
        if type(value) is not date and value is not None and not isinstance(value, bool):
            raise InvalidInput(f"{option}: expected a date, got {value!r}")
    if isinstance(sunset, bool):
        raise InvalidInput(f"sunset: expected a date, got {sunset!r}")
    if isinstance(deprecated, date) and sunset is not None and sunset < deprecated:
        raise InvalidInput(f"sunset: {sunset} is before {deprecated}, since when it is deprecated")
    after = None if successor is None else well_formed(event_text(successor))
    if after == text:
        raise InvalidInput(f"successor: {after} cannot follow itself")
    options = _Options(version, description, example, group, deprecated, sunset, after, enforce)
    return EventDeclaration(text, options)


def changes(old: Any, new: Any, *, today: date) -> list[CatalogueChange]:
    """Return what changed from one catalogue to another, breaking changes first.

    Each is what `webhooks.catalogue.json_schemas()` returns, or a file of it parsed. `today` is the
    day by which what was announced to go may be gone. Raises InvalidInput for what is no catalogue.
    """
    before, after = _catalogues.read(old, "old"), _catalogues.read(new, "new")
    return _catalogues.changes(before, after, today)
