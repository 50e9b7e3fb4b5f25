"""OpenTelemetry traces and metrics. The one file that imports `opentelemetry`, which is an extra.

The API alone: what becomes of spans and figures, the providers of the process decide.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from weakref import WeakSet

from hookline import __version__
from hookline._domain import ids
from hookline._domain.backlog import Backlog
from hookline._domain.delivery import DeliveryState
from hookline._domain.endpoint import Target
from hookline._engine.observers import Silent
from hookline._observe.backlog import BacklogSource
from hookline._observe.outcomes import BUCKETS, outcome_class
from hookline._ports import Leased, NewMessage, Request, Settlement
from hookline.errors import InvalidSettings

try:
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, SpanKind, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:  # pragma: no cover - said by whoever turned it on
    raise InvalidSettings(
        "opentelemetry: its API is not installed; pip install 'hookline[otel]'"
    ) from error

NAME = "hookline"
_SYSTEM = {"messaging.system": NAME}
_W3C = TraceContextTextMapPropagator()


class Tracing(Silent):
    """`_ports.Tracer`, and the `_ports.Observer` that ends the spans of attempts.

    An attempt is a trace of its own, linked to the span that published: it may be days later.
    """

    def __init__(self, *, send: bool) -> None:
        """`send`: receivers are told the attempt's trace and span."""
        self._tracer = trace.get_tracer(NAME, __version__)
        self._send = send

    @contextmanager
    def publishing(self, messages: Sequence[NewMessage]) -> Iterator[None]:
        """Publish in a span of the caller's trace, which the messages are given the name of."""
        attributes: dict[str, str | int] = {
            **_SYSTEM,
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
        }
        if len(messages) == 1:
            [message] = messages
            attributes["messaging.message.id"] = ids.encode(ids.MESSAGE, message.key)
            attributes["messaging.message.body.size"] = len(message.body)
            attributes["hookline.event_type"] = message.event_type
        else:
            attributes["messaging.batch.message_count"] = len(messages)
        with self._tracer.start_as_current_span(
            "publish", kind=SpanKind.PRODUCER, attributes=attributes
        ):
            carrier: dict[str, str] = {}
            _W3C.inject(carrier)
            for message in messages:
                message.traceparent = carrier.get("traceparent")
            yield

    def route(self, message: bytes, endpoints: int, traceparent: str | None) -> None:
        """Tell of the routing, in the publisher's trace."""
        if traceparent is None:
            return
        self._tracer.start_span(
            "route",
            context=_W3C.extract({"traceparent": traceparent}, context=Context()),
            kind=SpanKind.CONSUMER,
            attributes={
                **_SYSTEM,
                "messaging.operation.name": "route",
                "messaging.operation.type": "process",
                "messaging.message.id": ids.encode(ids.MESSAGE, message),
                "hookline.endpoints": endpoints,
            },
        ).end()

    def sending(self, delivery: Leased, request: Request, started_at: int) -> None:
        """Begin the span of an attempt, and name it to the receiver where that is wanted.

        Of the URL, host and port only: a path or a query may be what lets one in.
        """
        span = delivery.span = self._begin(delivery, started_at)
        span.set_attribute("server.address", request.url.host)
        span.set_attribute("server.port", request.url.port)
        if self._send:
            carrier: dict[str, str] = {}
            _W3C.inject(carrier, trace.set_span_in_context(span, Context()))
            request.header_lines.extend(f"{name}: {value}" for name, value in carrier.items())

    def attempted(self, settlement: Settlement) -> None:
        """End the span of an attempt."""
        self._end(settlement, settlement.decision.state.value)

    def lost(self, settlement: Settlement) -> None:
        """End the span of an attempt that counts for nothing."""
        self._end(settlement, "lost")

    def _begin(self, delivery: Leased, started_at: int) -> Span:
        links = []
        if delivery.traceparent is not None:
            carrier = {"traceparent": delivery.traceparent}
            found = trace.get_current_span(_W3C.extract(carrier, context=Context()))
            links.append(Link(found.get_span_context()))
        return self._tracer.start_span(
            "POST",
            context=Context(),
            kind=SpanKind.CLIENT,
            links=links,
            start_time=started_at * 1_000_000,
            attributes={
                **_SYSTEM,
                "messaging.operation.name": "deliver",
                "messaging.operation.type": "process",
                "messaging.message.id": ids.encode(ids.MESSAGE, delivery.message),
                "http.request.method": "POST",
                "http.request.resend_count": delivery.attempts,
                "hookline.endpoint.id": ids.encode(ids.ENDPOINT, delivery.target.key),
                "hookline.event_type": delivery.event_type,
            },
        )

    def _end(self, settlement: Settlement, state: str) -> None:
        delivery, outcome = settlement.delivery, settlement.outcome
        # One that could not be prepared has none yet.
        span = delivery.span or self._begin(delivery, settlement.started_at)
        span.set_attribute("hookline.state", state)
        if outcome.status is not None:
            span.set_attribute("http.response.status_code", outcome.status)
        if outcome.failure is not None:
            at_status = outcome.failure.value == "status" and outcome.status is not None
            span.set_attribute("error.type", str(outcome.status) if at_status else outcome.failure)
            span.set_status(StatusCode.ERROR, settlement.decision.reason)
        span.end(settlement.started_at * 1_000_000 + outcome.timings.total * 1000)


class Meters(Silent):
    """`_ports.Observer` that counts with OpenTelemetry; attributes bounded as for Prometheus."""

    def __init__(self, source: BacklogSource, in_flight: Callable[[], int]) -> None:
        """`source` and `in_flight` are asked when the process exports."""
        meter = metrics.get_meter(NAME, __version__)
        self._source = source
        self._in_flight = in_flight
        _living.add(self)
        self._messages = meter.create_counter("hookline.messages.routed", "{message}")
        self._deliveries = meter.create_counter("hookline.deliveries.routed", "{delivery}")
        self._attempts = meter.create_counter("hookline.attempts", "{attempt}")
        self._seconds = meter.create_histogram(
            "hookline.attempt.duration", "s", explicit_bucket_boundaries_advisory=BUCKETS
        )
        self._ended = meter.create_counter("hookline.deliveries.ended", "{delivery}")
        self._retries = meter.create_counter("hookline.retries", "{attempt}")
        self._lost = meter.create_counter("hookline.leases.lost", "{lease}")
        self._disabled = meter.create_counter("hookline.endpoints.disabled", "{endpoint}")
        self._failing = meter.create_counter("hookline.endpoints.failing", "{endpoint}")
        self._unfiltered = meter.create_counter("hookline.filter.failures", "{message}")
        self._troubles = meter.create_counter("hookline.engine.errors", "{error}")

        # An instrument is made once in a process: the callbacks of a second one are not called.
        meter.create_observable_gauge("hookline.in_flight", [_held], "{delivery}")
        meter.create_observable_gauge("hookline.database_up", [_up], "1")
        meter.create_observable_gauge("hookline.endpoints", [_endpoints], "{endpoint}")
        for name, unit, read in _GAUGES:
            meter.create_observable_gauge(name, [_observed(read)], unit)

    def look(self) -> tuple[bool | None, Backlog | None]:
        """Return whether the database answered, and what waits; None what cannot be told."""
        return self._source.look()

    def held(self) -> int:
        """Return how many deliveries are in flight."""
        return self._in_flight()

    def routed(self, message: bytes, event_type: str, endpoints: int) -> None:  # noqa: ARG002
        """Count a message and its deliveries."""
        self._messages.add(1)
        self._deliveries.add(endpoints)

    def attempted(self, settlement: Settlement) -> None:
        """Count an attempt."""
        outcome, state = settlement.outcome, settlement.decision.state
        self._attempts.add(1, {"outcome": outcome_class(outcome)})
        result = "success" if outcome.ok else "failure"
        self._seconds.record(outcome.timings.total / 1e6, {"result": result})
        if settlement.delivery.attempts:
            self._retries.add(1)
        if state is not DeliveryState.PENDING:
            self._ended.add(1, {"state": state.value})

    def lost(self, settlement: Settlement) -> None:  # noqa: ARG002
        """Count a lost lease."""
        self._lost.add(1)

    def unfiltered(self, message: bytes, target: Target, problem: str) -> None:  # noqa: ARG002
        """Count a filter that failed."""
        self._unfiltered.add(1)

    def failing(self, target: Target, milliseconds: int) -> None:  # noqa: ARG002
        """Count a warning."""
        self._failing.add(1)

    def disabled(self, target: Target, reason: str) -> None:  # noqa: ARG002
        """Count an endpoint the system disabled."""
        self._disabled.add(1)

    def trouble(self, what: str, error: BaseException) -> None:  # noqa: ARG002
        """Count trouble the engine survives."""
        self._troubles.add(1)


_living: WeakSet[Meters] = WeakSet()


def _held(_: object) -> Iterable[metrics.Observation]:
    return [metrics.Observation(sum(each.held() for each in list(_living)))]


def _up(_: object) -> Iterable[metrics.Observation]:
    told = [up for up, _ in _looks() if up is not None]
    return [metrics.Observation(int(all(told)))] if told else []


def _endpoints(_: object) -> Iterable[metrics.Observation]:
    found = _first()
    if found is None:
        return []
    enabled = found.endpoints - found.disabled_endpoints
    return [
        metrics.Observation(enabled, {"state": "enabled"}),
        metrics.Observation(found.disabled_endpoints, {"state": "disabled"}),
    ]


def _observed(
    read: Callable[[Backlog], float],
) -> Callable[[object], Iterable[metrics.Observation]]:
    def observe(_: object) -> Iterable[metrics.Observation]:
        found = _first()
        return [] if found is None else [metrics.Observation(read(found))]

    return observe


def _looks() -> Iterator[tuple[bool | None, Backlog | None]]:
    return (each.look() for each in list(_living))


def _first() -> Backlog | None:
    return next((found for _, found in _looks() if found is not None), None)


_GAUGES: tuple[tuple[str, str, Callable[[Backlog], float]], ...] = (
    ("hookline.due_deliveries", "{delivery}", lambda b: b.due),
    ("hookline.unrouted_messages", "{message}", lambda b: b.unrouted),
    ("hookline.oldest_due_age", "s", lambda b: b.oldest_due_ms / 1000),
    ("hookline.open_circuits", "{endpoint}", lambda b: b.open_circuits),
    ("hookline.workers", "{worker}", lambda b: b.workers),
)
