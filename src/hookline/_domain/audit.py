"""The audit log: who changed what, and when. Never the values."""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class Actor(NamedTuple):
    """Who makes a change.

    `kind` is `api_key` (with its `id` and `name`), `cli`, `code` (with a `name` where the
    application says who), or `file` for what `webhooks.json` declares.
    """

    kind: str
    id: str | None = None
    name: str = ""


CODE, CLI, FILE = Actor("code"), Actor("cli"), Actor("file")

acting: ContextVar[Actor] = ContextVar("hookline_actor", default=CODE)
"""Who is at work. The store's writes read it, so that no call has to carry it along."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, or one look at a secret.

    `action` is a name such as `endpoint.updated`, `target` the id (of event types: the name) of
    what it was done to, `application` the id of whose that is, None for what belongs to none.
    `fields` are the names of what was changed.
    """

    id: str
    at: datetime
    actor: Actor
    action: str
    target: str
    application: str | None = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What is looked for. Everything given must hold.

    `action` is one, or a family such as `endpoint.*`; `actor` a key's id, a name, or a kind such
    as `cli`; `application` an id or uid. `before` and `after` bound the time, the ends left out.
    """

    application: str | None = None
    action: str | None = None
    actor: str | None = None
    target: str | None = None
    before: datetime | None = None
    after: datetime | None = None
