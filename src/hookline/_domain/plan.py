"""What an import would change, told field by field; secrets are never part of what is told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

HIDDEN = "***"
"""What stands for a value that is not shown."""


class Action(StrEnum):
    """What is done to an object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class FieldChange(NamedTuple):
    """One field: what it is now, and what it will be; None for not set."""

    name: str
    before: Any
    after: Any


class Change(NamedTuple):
    """One object: an `application`, an `endpoint` or an `event_type`, by the name it goes by.

    `notes` say what the fields do not, such as headers that the document left out.
    """

    action: Action
    kind: str
    name: str
    fields: tuple[FieldChange, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """The change as JSON has it."""
        return {
            "action": self.action.value,
            "kind": self.kind,
            "name": self.name,
            "fields": [
                {"field": each.name, "before": each.before, "after": each.after}
                for each in self.fields
            ],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What importing a document would change, in the order in which it is done.

    It is for `Webhooks.apply`, which refuses it when things have changed since.
    """

    changes: tuple[Change, ...]
    source: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The document it was made from."""
    prune: bool = False

    def __bool__(self) -> bool:
        """Tell whether there is anything to do."""
        return bool(self.changes)

    @property
    def counts(self) -> dict[str, int]:
        """How many objects are created, updated and deleted."""
        return {
            action.value: sum(each.action is action for each in self.changes) for action in Action
        }

    @property
    def document(self) -> dict[str, Any]:
        """The plan as JSON has it."""
        return {**self.counts, "changes": [each.document for each in self.changes]}


def plain(value: Any) -> Any:
    """Return a value as a document has it: lists, objects, and None for what is empty."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()} or None
    if isinstance(value, list | tuple):
        return [plain(each) for each in value] or None
    return None if value == "" else value


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], hidden: Iterable[str]
) -> tuple[FieldChange, ...]:
    """Return the fields named in `after` that are not as `before` has them.

    Of the `hidden` ones it is told only whether they were set, and will be.
    """
    hidden = frozenset(hidden)
    found = []
    for name, value in after.items():
        old, new = plain(before.get(name)), plain(value)
        if old == new or not (old or new):
            continue
        if name in hidden:
            old, new = (None if each is None else HIDDEN for each in (old, new))
        found.append(FieldChange(name, old, new))
    return tuple(found)
