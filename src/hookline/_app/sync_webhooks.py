"""Class SyncWebhooks: the whole façade of a process, for code without an event loop."""

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from enum import Enum
from typing import Self, Unpack

from hookline._app.operating import Operating
from hookline._app.sync import (
    Apart,
    SyncApplication,
    SyncApplications,
    SyncEventTypes,
    Waiting,
)
from hookline._app.webhooks import Webhooks
from hookline._domain.endpoint import Endpoint
from hookline._domain.options import EndpointOptions
from hookline._domain.replay import Job


class SyncWebhooks(SyncApplication):
    """`webhooks.sync`: what `Webhooks` does, for scripts, threads and synchronous frameworks.

    Each method takes and returns what that of `Webhooks` does, and waits for it. Callable from any
    thread; safe to share. Nothing runs before the first call; a process that is forked starts an
    engine of its own. `with webhooks.sync:` starts it, and drains it at the end; without that, it
    is drained when the interpreter exits. For what has no method here there is `wait`:
    `webhooks.sync.wait(job.finished())`.
    """

    def __init__(self, webhooks: Webhooks) -> None:
        """Use `Webhooks(…).sync`."""
        runtime = webhooks._runtime  # noqa: SLF001 - one house
        super().__init__(webhooks, runtime)
        self.webhooks = webhooks
        self.applications = SyncApplications(webhooks.applications, runtime)
        self.event_types = SyncEventTypes(webhooks.event_types, runtime)

    def register(
        self,
        url: str,
        events: Iterable[str | Enum],
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[EndpointOptions],
    ) -> Endpoint:
        """Declare an endpoint; see `Webhooks.register`."""
        return self.webhooks.register(url, events, secret, headers, **options)

    def init(self, path: str | os.PathLike[str] | None = None) -> None:
        """Load the webhooks file and start delivering; see `Webhooks.init`."""
        self.webhooks.init(path)

    def start(self) -> None:
        """Start the engine without loading a file. Safe to call twice."""
        self._runtime.start()

    def close(self) -> None:
        """Stop gracefully; see `Webhooks.stop`. Safe to call twice."""
        self.webhooks.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def for_application(self, name: str) -> SyncApplication:
        """Return what belongs to the application with that id (`app_…`) or uid."""
        found = self.wait(self.webhooks.for_application(name))
        return SyncApplication(found, self._runtime)

    def any_job(self, job_id: str) -> tuple[Job, SyncApplication]:
        """Return a replay of any application, and whose it is; raise JobNotFound."""
        job, owner = self.wait(self.webhooks.any_job(job_id))
        return job, SyncApplication(owner, self._runtime)

    def operational(self) -> SyncApplication:
        """Return the application that operational events belong to."""
        return SyncApplication(self.wait(self.webhooks.operational()), self._runtime)

    def acting(self, name: str) -> AbstractContextManager[None]:
        """Let the audit log name who is at work: `with webhooks.sync.acting("alice"):`."""
        return self.webhooks.acting(name)

    def metrics(self) -> bytes:
        """Return the metrics of this process; see `Webhooks.metrics`."""
        return self.webhooks.metrics()

    export = Waiting(Operating.export)
    plan = Waiting(Operating.plan)
    apply = Waiting(Operating.apply)
    all_usage = Waiting(Operating.all_usage)
    audit = Waiting(Operating.audit)
    all_jobs = Waiting(Webhooks.all_jobs)
    all_figures = Waiting(Webhooks.all_figures)
    create_api_key = Waiting(Webhooks.create_api_key)
    api_keys = Waiting(Webhooks.api_keys)
    api_key_page = Waiting(Webhooks.api_key_page)
    revoke_api_key = Waiting(Webhooks.revoke_api_key)
    revoke_portal_keys = Waiting(Webhooks.revoke_portal_keys)
    authenticate = Waiting(Webhooks.authenticate)
    migrate = Apart(Webhooks.migrate)
    reencrypt = Apart(Webhooks.reencrypt)
    schema = Apart(Webhooks.schema)
    readiness = Apart(Webhooks.readiness)
    backlog = Apart(Webhooks.backlog)
    diagnose = Apart(Webhooks.diagnose)
