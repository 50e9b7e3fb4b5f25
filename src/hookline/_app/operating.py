"""What concerns a whole deployment: export and import, usage, the audit log, who is told."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hookline._app.admission import Admission
from hookline._app.application import ApplicationWebhooks
from hookline._app.catalogue import DeclaredEvents
from hookline._app.scope import Scope, application_key
from hookline._app.transfer import Transfer
from hookline._domain import check, ids
from hookline._domain.audit import AuditEntry, AuditFilter
from hookline._domain.audit import acting as at_work
from hookline._domain.operational import EVENTS
from hookline._domain.page import NEWEST, Page, Window
from hookline._domain.plan import Plan
from hookline._domain.usage import Usage, span
from hookline._engine.engine import Engine

if TYPE_CHECKING:
    from hookline._app.applications import Applications
    from hookline._app.event_types import EventTypes


class Operating(Scope):
    """Operating a deployment, over all of its applications."""

    applications: "Applications"
    event_types: "EventTypes"

    if TYPE_CHECKING:

        async def for_application(self, name: str) -> ApplicationWebhooks:
            """Return what belongs to an application."""
            ...

    # export and import ---------------------------------------------------------------------

    async def export(self, *, secrets: bool = False) -> dict[str, Any]:
        """Return event types, applications and endpoints as one document, for JSON or YAML.

        Without those that code and file declare. `secrets` includes signing secrets, headers,
        client keys, OAuth2 and proxies, readable for whoever gets the document; raises
        SecretsLocked where they do not open. Without it a list `withheld` says what is left out.
        """
        return await self._transfer.export(secrets=secrets)

    async def plan(self, document: Mapping[str, Any], *, prune: bool = False) -> Plan:
        """Return what importing a document would change; nothing is written.

        `prune` also deletes what the document does not name: in the lists that it has, and nothing
        that code or file declares. Raises InvalidInput naming the place, such as
        `applications[3].endpoints[0].url: …`, or SecretsLocked.
        """
        return await self._transfer.plan(document, prune=prune)

    async def apply(self, plan: Plan) -> Plan:
        """Make the changes of a plan in their order, and return it. An empty plan changes nothing.

        Raises PlanOutdated, with nothing written, when things have changed since it was made;
        ImportInterrupted when a change fails: it says what was made before, and importing the same
        document again goes on from there.
        """
        await self._transfer.apply(plan)
        return plan

    # operational webhooks ------------------------------------------------------------------

    async def operational(self) -> ApplicationWebhooks:
        """Return the endpoints that are told of what happens here, as of an application.

        Their event types are `endpoint.created`, `updated`, `deleted`, `enabled`, `disabled`,
        `failing`, `verified` and `unverified`, `message.attempt.exhausted`, `failing` and
        `recovered`. They hear of all applications, and never of themselves.
        """
        now = self._runtime.clock.now()
        key = await self._ask(lambda e, _: e.store.operational.application(now))
        admission = Admission(self._runtime.settings, DeclaredEvents(EVENTS))
        return ApplicationWebhooks(self._runtime, admission, key)

    # usage ---------------------------------------------------------------------------------

    async def all_usage(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[Usage]:
        """Count messages and attempts of every application: `usage`, deleted ones too."""
        now = self._runtime.clock.now()
        days = span(since, until, now)
        return await self._ask(lambda e, _: e.store.usage.days(None, days, now))

    # audit ---------------------------------------------------------------------------------

    async def audit(
        self, wanted: AuditFilter | None = None, window: Window | None = None
    ) -> Page[AuditEntry]:
        """Return who changed what, the newest first. Raises ApplicationNotFound.

        What was done over the REST API, on the command line and in code; kept for
        `Settings.retention_audit` days. Values are not in it, only the names of fields.
        """
        which, part = wanted or AuditFilter(), window or NEWEST
        name = which.application

        async def look(engine: Engine, _: bytes) -> Page[AuditEntry]:
            key = None
            if name is not None:  # one that was deleted has its id still
                key = ids.decode(ids.APPLICATION, name) or await application_key(engine, name)
            return await engine.store.audit.page(key, which, part)

        return await self._ask(look)

    @staticmethod
    @contextmanager
    def acting(name: str) -> Iterator[None]:
        """Let the audit log name who is at work: `with webhooks.acting("alice@example.com"):`."""
        check.text("name", name, 1, 256)
        before = at_work.set(at_work.get()._replace(name=name))
        try:
            yield
        finally:
            at_work.reset(before)

    @property
    def _transfer(self) -> Transfer:
        return Transfer(self.applications, self.event_types, self._admission, self.for_application)
