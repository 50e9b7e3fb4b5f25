"""Prometheus metrics. The one file that imports `prometheus_client`, which is an extra.

No label is chosen by a customer: neither URL nor event type nor application, of which there may be
any number. What is per process is counted as it happens; what is in the database is asked for when
somebody scrapes.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

from hookline._domain.backlog import Backlog
from hookline._domain.delivery import DeliveryState
from hookline._domain.endpoint import Target
from hookline._engine.observers import Silent
from hookline._observe.backlog import BacklogSource
from hookline._observe.outcomes import BUCKETS, CLASSES, outcome_class
from hookline._ports import Settlement
from hookline.errors import InvalidSettings

try:
    from prometheus_client import (
        CollectorRegistry,
        Counter,
        Gauge,
        Histogram,
        ProcessCollector,
        generate_latest,
    )
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
except ImportError as error:  # pragma: no cover - said by whoever turned it on
    raise InvalidSettings(
        "metrics: prometheus_client is not installed; pip install 'hookline[prometheus]'"
    ) from error

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
_ENDED = (
    DeliveryState.SUCCEEDED,
    DeliveryState.EXHAUSTED,
    DeliveryState.HELD,
    DeliveryState.CANCELED,
)


class Metrics(Silent):
    """`_ports.Observer` that counts in a registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Register there; in a registry of its own, with the process's vitals, otherwise.

        Raises InvalidSettings when another `Webhooks` has the registry already.
        """
        if registry is None:
            registry = CollectorRegistry()
            ProcessCollector(registry=registry)
        self.registry = registry
        self.in_flight: Callable[[], int] = _none
        try:
            self._make(self.registry)
        except ValueError as error:
            raise InvalidSettings(
                "metrics: another Webhooks counts in this registry; give each its own, "
                "metrics=CollectorRegistry()"
            ) from error

    def _make(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Any:
            return Counter(name, text, labels, registry=registry)

        self._messages = counter("hookline_messages_routed", "Published messages, once routed")
        self._deliveries = counter("hookline_deliveries_routed", "Deliveries these were made into")
        attempts = counter("hookline_attempts", "Attempts made, by how they ended", "outcome")
        self._attempts = {name: attempts.labels(name) for name in CLASSES}
        seconds = Histogram(
            "hookline_attempt_duration_seconds",
            "Duration of attempts, from the start to the end of the answer",
            ("result",),
            buckets=BUCKETS,
            registry=registry,
        )
        self._ok, self._failed = seconds.labels("success"), seconds.labels("failure")
        ended = counter("hookline_deliveries_ended", "Deliveries that ended, by state", "state")
        self._ended = {state: ended.labels(state.value) for state in _ENDED}
        self._retries = counter("hookline_retries", "Attempts that were not the first")
        self._lost = counter("hookline_leases_lost", "Attempts whose lease was lost meanwhile")
        self._disabled = counter("hookline_endpoints_disabled", "Endpoints the system disabled")
        self._failing = counter("hookline_endpoints_failing", "Warnings before that")
        self._unfiltered = counter("hookline_filter_failures", "Filters that failed on a message")
        self._troubles = counter("hookline_engine_errors", "Errors the engine met and survived")
        self._held = Gauge(
            "hookline_in_flight",
            "Deliveries leased and not settled",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def refresh(self) -> None:
        """Set what changes without anything being told."""
        self._held.set(self.in_flight())

    def routed(self, message: bytes, event_type: str, endpoints: int) -> None:  # noqa: ARG002
        """Count a message and its deliveries."""
        self._messages.inc()
        self._deliveries.inc(endpoints)
        self.refresh()

    def attempted(self, settlement: Settlement) -> None:
        """Count an attempt."""
        outcome, state = settlement.outcome, settlement.decision.state
        self._attempts[outcome_class(outcome)].inc()
        (self._ok if outcome.ok else self._failed).observe(outcome.timings.total / 1e6)
        if settlement.delivery.attempts:
            self._retries.inc()
        ended = self._ended.get(state)
        if ended is not None:
            ended.inc()
        self.refresh()

    def unfiltered(self, message: bytes, target: Target, problem: str) -> None:  # noqa: ARG002
        """Count a filter that failed."""
        self._unfiltered.inc()

    def lost(self, settlement: Settlement) -> None:  # noqa: ARG002
        """Count a lost lease."""
        self._lost.inc()
        self.refresh()

    def failing(self, target: Target, milliseconds: int) -> None:  # noqa: ARG002
        """Count a warning."""
        self._failing.inc()

    def disabled(self, target: Target, reason: str) -> None:  # noqa: ARG002
        """Count an endpoint the system disabled."""
        self._disabled.inc()

    def trouble(self, what: str, error: BaseException) -> None:  # noqa: ARG002
        """Count trouble the engine survives."""
        self._troubles.inc()


class BacklogCollector:
    """A collector of what the database says."""

    def __init__(self, source: BacklogSource, before: Callable[[], None] | None = None) -> None:
        """`before` is called first, at each scrape."""
        self._source = source
        self._before = before

    def describe(self) -> list[GaugeMetricFamily]:
        """Say nothing: being registered asks nobody."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return what there is to say."""
        if self._before is not None:
            self._before()
        up, found = self._source.look()
        if up is not None:
            yield _gauge("database_up", "Whether the database answered", up)
        if found is not None:
            yield from _gauges(found)


def _gauges(found: Backlog) -> Iterator[GaugeMetricFamily]:
    yield _gauge("due_deliveries", "Deliveries that could be sent now, to 100000", found.due)
    yield _gauge("unrouted_messages", "Messages not routed yet, to 100000", found.unrouted)
    yield _gauge(
        "oldest_due_age_seconds",
        "How long the oldest of them waits, not counting open circuits",
        found.oldest_due_ms / 1000,
    )
    yield _gauge("open_circuits", "Endpoints whose circuit is open", found.open_circuits)
    states = GaugeMetricFamily("hookline_endpoints", "Endpoints, by state", labels=["state"])
    states.add_metric(["enabled"], found.endpoints - found.disabled_endpoints)
    states.add_metric(["disabled"], found.disabled_endpoints)
    yield states
    yield _gauge("workers", "Workers that share the work", found.workers)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"hookline_{name}", text, value=value)


def _none() -> int:
    return 0


def exposition(registry: CollectorRegistry, source: BacklogSource) -> bytes:
    """Return what `/metrics` serves, in Prometheus' text format.

    Of this process, or of all that share `PROMETHEUS_MULTIPROC_DIR`. Asks the database: not to be
    called on an event loop.
    """
    directory = os.environ.get(DIRECTORY)
    if not directory:
        return generate_latest(registry)
    everybody, gauges = CollectorRegistry(), CollectorRegistry()
    MultiProcessCollector(everybody, path=directory)  # type: ignore[no-untyped-call]
    gauges.register(BacklogCollector(source))
    return generate_latest(gauges) + generate_latest(everybody)


def forget(pid: int) -> None:
    """Leave what a process that ended had in flight out of the sum; what it counted stays."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]
