"""The configuration as one document: taken out, compared with what is there, put in.

Applications are known by their uid, else by id; endpoints by uid, else by id, else by URL; event
types by name. A document is the whole truth about the objects it names: a field that is left out
has its default. What is not exported unless asked for (secrets, headers, credentials) stays as it
is when it is left out, and so does whether an endpoint is disabled.
"""

import re
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from hookline._app.admission import Admission
from hookline._app.application import ApplicationWebhooks
from hookline._app.applications import DEFAULT, Applications
from hookline._app.event_types import EventTypes
from hookline._domain import application as application_rules
from hookline._domain import event_type as event_type_rules
from hookline._domain import ids
from hookline._domain.application import Application, checked_uid
from hookline._domain.endpoint import Endpoint
from hookline._domain.event_type import DEFAULTS, EventType
from hookline._domain.options import KNOWN, SENSITIVE
from hookline._domain.page import Cursor, Page, Window
from hookline._domain.plan import Action, Change, Plan, differences, plain
from hookline._webhooks_file import misshapen
from hookline.errors import (
    HooklineError,
    ImportInterrupted,
    InvalidInput,
    PlanOutdated,
    SecretsLocked,
)

FORMAT = 1
"""The version of the document's form."""
CREDENTIALS = SENSITIVE | {"client_certificate"}
WITHHELD = ("secret", "headers", *sorted(CREDENTIALS))
"""What of an endpoint is exported only when asked for, and never shown in a plan."""
_OPEN = ("url", "events", *(name for name in KNOWN if name not in CREDENTIALS))
_ROOT = ("hookline", "event_types", "applications")
_APPLICATION = ("uid", "id", "name", "rate_limit", "metadata", "endpoints")
_APPLICATION_FIELDS = ("name", "rate_limit", "metadata")
_ENDPOINT = ("uid", "id", *_OPEN, "disabled", *WITHHELD, "withheld")
_EVENT_TYPE = ("name", *DEFAULTS)
_NAMES_ITS_FIELD = re.compile(r"[a-z_0-9]+[\w.\[\]]*: ")


class Step(NamedTuple):
    """A change, and what makes it."""

    change: Change
    make: Callable[[], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class Place:
    """An application of a document that is there, or will be, and what it has."""

    path: str
    label: str
    found: Application | None
    webhooks: ApplicationWebhooks | None
    endpoints: Sequence[Endpoint]


Scoped = Callable[[str], Coroutine[Any, Any, ApplicationWebhooks]]


class Transfer:
    """Export and import for one deployment."""

    def __init__(
        self,
        applications: Applications,
        event_types: EventTypes,
        admission: Admission,
        scoped: Scoped,
    ) -> None:
        """`scoped` gives what belongs to an application, by id or uid."""
        self._applications = applications
        self._event_types = event_types
        self._admission = admission
        self._scoped = scoped

    # out -----------------------------------------------------------------------------------

    async def export(self, *, secrets: bool) -> dict[str, Any]:
        """Return the document."""
        types = await self._all_event_types()
        applications = []
        for each in await self._all_applications():
            webhooks = await self._scoped(each.id)
            endpoints = [e for e in await webhooks.endpoints() if e.source == "api"]
            applications.append(
                {
                    "uid" if each.uid is not None else "id": each.uid or each.id,
                    "name": each.name,
                    **_given(each, ("rate_limit", "metadata")),
                    "endpoints": [_exported(e, secrets=secrets) for e in endpoints],
                }
            )
        return {
            "hookline": FORMAT,
            "event_types": [{"name": t.name, **_given(t, DEFAULTS)} for t in types],
            "applications": applications,
        }

    async def _all_applications(self) -> list[Application]:
        return await _whole(self._applications.page)

    async def _all_event_types(self) -> list[EventType]:
        return await _whole(lambda window: self._event_types.page(window, archived=True))

    # in ------------------------------------------------------------------------------------

    async def plan(self, document: Any, *, prune: bool) -> Plan:
        """Return what importing the document would change."""
        steps = await self._steps(document, prune=prune)
        return Plan(tuple(step.change for step in steps), document, prune)

    async def apply(self, plan: Plan) -> None:
        """Make the changes of a plan, one after the other."""
        steps = await self._steps(plan.source, prune=plan.prune)
        if tuple(step.change for step in steps) != plan.changes:
            raise PlanOutdated("plan: things have changed since it was made; plan again")
        for done, step in enumerate(steps):
            try:
                await step.make()
            except HooklineError as error:
                change = step.change
                raise ImportInterrupted(
                    f"{change.action} {change.kind} {change.name}: {error}. Of {len(steps)} "
                    f"changes {done} were made before it; importing again goes on from there",
                    done,
                ) from error

    async def _steps(self, document: Any, *, prune: bool) -> list[Step]:
        """Return all changes, in an order in which each finds what it needs."""
        root = _object(document, "", _ROOT)
        if root.get("hookline") != FORMAT:
            raise InvalidInput(
                f"hookline: expected {FORMAT}, the version of the document's form, "
                f"got {root.get('hookline')!r}"
            )
        types = await self._of_event_types(root, prune=prune)
        making: list[Step] = []
        removing: list[Step] = []
        listed = _list(root, "applications", "")
        places = await self._places(listed)
        for given, place in zip(listed, places, strict=True):
            making += self._of_application(given, place)
            new, old = self._of_endpoints(given, place, prune=prune)
            making += new
            removing += old
        if prune and "applications" in root:
            kept = {place.found.id for place in places if place.found is not None}
            for each in await self._all_applications():
                if each.id not in kept and each.uid != DEFAULT:
                    gone = Change(Action.DELETE, "application", each.uid or each.id)
                    removing.append(Step(gone, partial(self._applications.delete, each.id)))
        last = [step for step in types if step.change.action is Action.DELETE]
        first = [step for step in types if step.change.action is not Action.DELETE]
        return [*first, *making, *removing, *last]

    # event types

    async def _of_event_types(self, root: Mapping[str, Any], *, prune: bool) -> list[Step]:
        known = {each.name: each for each in await self._all_event_types()}
        steps: list[Step] = []
        seen: dict[str, str] = {}
        for path, given in _paths(_list(root, "event_types", ""), "event_types"):
            _object(given, path, _EVENT_TYPE)
            with _at(path):
                values = _event_type(given)
            name = values.pop("name")
            _once(seen, name, f"{path}.name")
            steps += self._of_event_type(name, known.get(name), values)
        if prune and "event_types" in root:
            for name, each in known.items():
                if name not in seen and not each.archived:
                    gone = Change(
                        Action.DELETE,
                        "event_type",
                        name,
                        notes=("archived, so that it can return",),
                    )
                    steps.append(Step(gone, partial(self._event_types.delete, name)))
        return steps

    def _of_event_type(
        self, name: str, found: EventType | None, values: dict[str, Any]
    ) -> Iterator[Step]:
        if found is None:
            fields = differences(DEFAULTS, values, ())
            change = Change(Action.CREATE, "event_type", name, fields)
            new = {**values, "feature_flags": values["feature_flags"] or ()}
            yield Step(change, lambda: self._event_types.create(name, **new))
            return
        before = {field: getattr(found, field) for field in DEFAULTS}
        fields = differences(before, values, ())
        if fields:
            changes = {each.name: values[each.name] for each in fields}
            change = Change(Action.UPDATE, "event_type", name, fields)
            yield Step(change, lambda: self._event_types.update(name, **changes))

    # applications

    async def _places(self, listed: Sequence[Any]) -> list[Place]:
        everything = await self._all_applications()
        by_id = {each.id: each for each in everything}
        by_uid = {each.uid: each for each in everything if each.uid is not None}
        places: list[Place] = []
        seen: dict[str, str] = {}
        for path, given in _paths(listed, "applications"):
            _object(given, path, _APPLICATION)
            with _at(path):
                uid = checked_uid(given.get("uid"), ids.APPLICATION)
                own = _id(given, ids.APPLICATION)
            if uid is None and own is None:
                raise InvalidInput(f"{path}: has no uid; give it one, to know it by")
            found = by_uid.get(uid) if uid is not None else None
            if own is not None and own in by_id:
                if found is not None and found.id != own:
                    raise InvalidInput(f"{path}.uid: {uid!r} is that of another application")
                found = by_id[own]
                if found.uid == DEFAULT and uid not in (None, DEFAULT):
                    raise InvalidInput(
                        f"{path}.uid: that of the application {DEFAULT!r} cannot be changed"
                    )
            _once(seen, found.id if found is not None else uid or own or "", path)
            webhooks = None if found is None else await self._scoped(found.id)
            endpoints = [] if webhooks is None else await webhooks.endpoints()
            places.append(Place(path, uid or own or "", found, webhooks, endpoints))
        return places

    def _of_application(self, given: Mapping[str, Any], place: Place) -> Iterator[Step]:
        found = place.found
        with _at(place.path):
            if "name" not in given and found is None:
                raise InvalidInput("name: is missing")
            name = given.get("name", found.name if found is not None else None)
            values = application_rules.checked(
                {
                    "name": name,
                    "rate_limit": given.get("rate_limit"),
                    "metadata": given.get("metadata") or {},
                }
            )
        if found is None:
            change = Change(Action.CREATE, "application", place.label, differences({}, values, ()))
            new = {**values, "uid": given.get("uid"), "id": given.get("id")}
            yield Step(change, lambda: self._applications.restore(new))
            return
        if given.get("uid") is not None:
            values["uid"] = given["uid"]
        before = {name: getattr(found, name) for name in (*_APPLICATION_FIELDS, "uid")}
        fields = differences(before, values, ())
        if fields:
            changes = {each.name: values[each.name] for each in fields}
            change = Change(Action.UPDATE, "application", found.uid or found.id, fields)
            yield Step(change, lambda: self._applications.update(found.id, **changes))

    # endpoints

    def _of_endpoints(
        self, given: Mapping[str, Any], place: Place, *, prune: bool
    ) -> tuple[list[Step], list[Step]]:
        """Return the steps that make or change endpoints, and those that delete some."""
        matching = _Matching(place)
        making: list[Step] = []
        where = f"{place.path}.endpoints"
        for path, entry in _paths(_list(given, "endpoints", place.path), where):
            _object(entry, path, _ENDPOINT)
            _check_shapes(entry, path)
            with _at(path):
                uid = checked_uid(entry.get("uid"), ids.ENDPOINT)
                own = _id(entry, ids.ENDPOINT)
            found = matching.match(path, uid, own, entry)
            making += self._of_endpoint(entry, path, place, found)
        removing = []
        if prune and "endpoints" in given and place.webhooks is not None:
            for each in matching.left():
                change = Change(Action.DELETE, "endpoint", f"{place.label}/{each.uid or each.url}")
                removing.append(
                    Step(change, partial(place.webhooks.delete_endpoint, each.id or each.url))
                )
        return making, removing

    def _of_endpoint(
        self, entry: Mapping[str, Any], path: str, place: Place, found: Endpoint | None
    ) -> Iterator[Step]:
        with _at(path):
            judged = self._judged(entry, found)
        after: dict[str, Any] = {name: getattr(judged, name) for name in _OPEN}
        after |= {name: getattr(judged, name) for name in WITHHELD if name in entry}
        if found is None:
            notes = [
                "secret: a fresh one is made"
                if name == "secret"
                else f"{name}: was left out of the export, and is not set"
                for name in entry.get("withheld") or ()
                if name not in entry
            ]
            if "secret" not in entry and "secret" not in (entry.get("withheld") or ()):
                notes.insert(0, "secret: a fresh one is made")
            if entry.get("disabled"):
                after["disabled"] = True
            label = f"{place.label}/{entry.get('uid') or judged.url}"
            fields = differences({}, after, WITHHELD)
            change = Change(Action.CREATE, "endpoint", label, fields, tuple(notes))
            yield Step(change, lambda: self._create(place, entry, judged))
            return
        for name in ("uid", "disabled"):
            if entry.get(name) is not None:
                after[name] = entry[name]
        before = {name: getattr(found, name) for name in after}
        fields = differences(before, after, WITHHELD)
        if fields:
            changes = {each.name: after[each.name] for each in fields}
            rotated = "secret" in changes
            notes = ["secret: the one before signs along for 24 hours"] if rotated else []
            label = f"{place.label}/{found.uid or found.url}"
            change = Change(Action.UPDATE, "endpoint", label, fields, tuple(notes))
            yield Step(change, lambda: self._update(place, found, changes))

    def _judged(self, entry: Mapping[str, Any], found: Endpoint | None) -> Endpoint:
        """Return an endpoint as it will be; raise InvalidInput for one that cannot be let in."""
        if "url" not in entry:
            raise InvalidInput("url: is missing")
        options = {name: entry.get(name) for name in KNOWN}
        headers, secret = entry.get("headers"), entry.get("secret")
        if found is not None:
            if "secret" in entry and secret is None:
                raise InvalidInput("secret: cannot be taken away; leave it out, or give another")
            kept = {name for name in CREDENTIALS if name not in entry}
            options |= {name: getattr(found, name) for name in kept}
            headers = headers if "headers" in entry else found.headers
            secret = secret or found.secret
        known = found is not None and (found.url, list(found.allowed_networks)) == (
            entry["url"],
            list(entry.get("allowed_networks") or ()),
        )
        return self._admission.endpoint(
            "api",
            entry["url"],
            entry.get("events") or ("*",),
            secret,
            headers,
            {name: value for name, value in options.items() if value},
            known_url=known,
        )

    async def _create(self, place: Place, entry: Mapping[str, Any], judged: Endpoint) -> None:
        webhooks = place.webhooks or await self._scoped(place.label)
        await webhooks.create_endpoint(
            judged.url,
            judged.events,
            judged.secret,
            judged.headers,
            uid=entry.get("uid"),
            disabled=bool(entry.get("disabled")),
            **{name: getattr(judged, name) for name in KNOWN if plain(getattr(judged, name))},
        )

    async def _update(self, place: Place, found: Endpoint, changes: dict[str, Any]) -> None:
        webhooks = place.webhooks or await self._scoped(place.label)
        secret, disabled = changes.pop("secret", None), changes.pop("disabled", None)
        name = found.id or found.url
        if changes or disabled is not None:
            await webhooks.update_endpoint(name, disabled=disabled, **changes)
        if secret is not None:
            await webhooks.rotate_secret(name, secret)


class _Matching:
    """Finds which endpoint of an application an entry is about; each is meant once."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._seen: dict[str, str] = {}
        self._urls: dict[str, str] = {}

    def match(
        self, path: str, uid: str | None, own: str | None, entry: Mapping[str, Any]
    ) -> Endpoint | None:
        all_of_it = self._place.endpoints
        named = next((e for e in all_of_it if uid is not None and e.uid == uid), None)
        found = next((e for e in all_of_it if own is not None and e.id == own), named)
        if named is not None and found is not named:
            raise InvalidInput(f"{path}.uid: {uid!r} is that of another endpoint")
        if uid is not None:
            _once(self._seen, f"uid {uid}", path)
        if found is None:
            found = self._by_url(path, uid, own, entry)
        if found is not None:
            _once(self._seen, found.id or "", path)
        return found

    def _by_url(
        self, path: str, uid: str | None, own: str | None, entry: Mapping[str, Any]
    ) -> Endpoint | None:
        url = entry.get("url", "")
        if uid is None and own is None:
            _once(self._urls, url, f"{path}.url")
        same = [
            e
            for e in self._place.endpoints
            if e.url == url and e.id not in self._seen and (uid is None or e.uid is None)
        ]
        if len(same) > 1 and own is None:  # of those exported together, the order tells
            raise InvalidInput(f"{path}.url: {len(same)} endpoints have it; say which by uid or id")
        return same[0] if same else None

    def left(self) -> list[Endpoint]:
        """Return the endpoints that no entry was about; those of code and file are not meant."""
        return [e for e in self._place.endpoints if e.id not in self._seen and e.source == "api"]


# pieces of the document


async def _whole(page: Callable[[Window], Coroutine[Any, Any, Page[Any]]]) -> list[Any]:
    """Return a list with all of its pages."""
    items: list[Any] = []
    window = Window(250)
    while True:
        part = await page(window)
        items += part.items
        if not part.more or part.last is None:
            return items
        window = Window(250, Cursor(part.last))


def _given(of: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return the fields that are not as they are by default."""
    values = {name: plain(getattr(of, name)) for name in names}
    return {name: value for name, value in values.items() if value}


def _exported(endpoint: Endpoint, *, secrets: bool) -> dict[str, Any]:
    if secrets and endpoint.locked is not None:
        raise SecretsLocked(f"endpoint {endpoint.url}: {endpoint.locked}")
    name = "uid" if endpoint.uid is not None else "id"
    found: dict[str, Any] = {name: getattr(endpoint, name), "url": endpoint.url}
    found["events"] = list(endpoint.events)
    found |= _given(endpoint, [each for each in _OPEN if each not in found])
    if endpoint.disabled:
        found["disabled"] = True
    guarded = _given(endpoint, WITHHELD)
    if secrets:
        return found | guarded
    return found | ({"withheld": list(guarded)} if guarded else {})


def _event_type(given: Mapping[str, Any]) -> dict[str, Any]:
    if "name" not in given:
        raise InvalidInput("name: is missing")
    values = {**DEFAULTS, **given}
    values["description"] = values["description"] or ""
    for name in ("archived", "deprecated"):
        if not isinstance(values[name], bool):
            raise InvalidInput(f"{name}: expected true or false, got {values[name]!r}")
    flags = values["feature_flags"]
    if flags is not None and not (
        isinstance(flags, list) and all(isinstance(flag, str) for flag in flags)
    ):
        raise InvalidInput("feature_flags: expected a list of texts")
    return event_type_rules.checked(values)


def _check_shapes(entry: Mapping[str, Any], path: str) -> None:
    for name, value in entry.items():
        fault = misshapen(name, value)
        if name == "disabled" and not isinstance(value, bool):
            fault = f"expected true or false, got {type(value).__name__}"
        if name == "withheld" and not (
            isinstance(value, list) and all(each in WITHHELD for each in value)
        ):
            fault = f"expected a list of {', '.join(WITHHELD)}"
        nothing = value is None and name in ("events", "headers", "description", "oauth2")
        if fault is not None and not nothing:
            raise InvalidInput(f"{path}.{name}: {fault}")


def _object(value: Any, path: str, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{path or 'document'}: expected an object, got {type(value).__name__}")
    for name in value:
        if name not in known:
            where = f"{path}.{name}" if path else f"{name}"
            raise InvalidInput(f"{where}: unknown; known are {', '.join(known)}"[:500])
    return value


def _list(of: Mapping[str, Any], name: str, path: str) -> Sequence[Any]:
    value = of.get(name)
    if value is not None and not isinstance(value, list):
        where = f"{path}.{name}" if path else name
        raise InvalidInput(f"{where}: expected a list, got {type(value).__name__}")
    return value or []


def _paths(entries: Sequence[Any], name: str) -> Iterator[tuple[str, Any]]:
    for position, entry in enumerate(entries):
        yield f"{name}[{position}]", entry


def _id(given: Mapping[str, Any], prefix: str) -> str | None:
    own = given.get("id")
    if own is not None and (not isinstance(own, str) or ids.decode(prefix, own) is None):
        raise InvalidInput(f"id: {own!r} is not an id ({prefix}…)")
    return own


def _once(seen: dict[str, str], name: str, path: str) -> None:
    """Refuse an object that is in the document twice."""
    first = seen.setdefault(name, path)
    if first is not path:
        raise InvalidInput(f"{path}: is already {first}")


@contextmanager
def _at(path: str) -> Iterator[None]:
    """Say where in the document a value is that was refused."""
    try:
        yield
    except InvalidInput as error:
        joint = "." if _NAMES_ITS_FIELD.match(str(error)) else ": "
        raise InvalidInput(f"{path}{joint}{error}") from error
