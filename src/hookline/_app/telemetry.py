"""Metrics and traces, put together as the settings say; nothing is loaded when they are off."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hookline._domain.backlog import Backlog
from hookline._observe.backlog import Ask, BacklogSource
from hookline._ports import Observer, Tracer
from hookline._settings import Settings
from hookline.errors import InvalidSettings

if TYPE_CHECKING:
    from hookline._app.runtime import Runtime


@dataclass(slots=True)
class Telemetry:
    """What is observed beside the log. `runtime` is set later: it is made with the observers."""

    observers: list[Observer] = field(default_factory=list)
    tracer: Tracer | None = None
    registry: Any = None
    source: BacklogSource | None = None
    runtime: "Runtime | None" = None
    otherwise: Ask | None = None
    """Asks for the backlog where no engine runs."""

    @classmethod
    def of(cls, settings: Settings, registry: Any = None) -> "Telemetry":
        """Return it; InvalidSettings when an extra is not installed."""
        made = cls()
        if registry is None and settings.metrics == "off" and not settings.opentelemetry:
            return made

        def in_flight() -> int:
            return 0 if made.runtime is None else made.runtime.in_flight()

        def ask() -> Backlog | None:
            if made.otherwise is not None:
                return made.otherwise()
            return None if made.runtime is None else made.runtime.backlog()

        source = made.source = BacklogSource(ask)
        if registry is not None or settings.metrics != "off":
            from hookline._observe.prometheus import BacklogCollector, Metrics  # noqa: PLC0415

            counted = Metrics(registry)
            counted.in_flight = in_flight
            counted.registry.register(BacklogCollector(source, counted.refresh))
            made.observers.append(counted)
            made.registry = counted.registry
        if settings.opentelemetry:
            from hookline._observe.otel import Meters, Tracing  # noqa: PLC0415

            tracing = Tracing(send=settings.send_traceparent)
            made.tracer = tracing
            made.observers += [tracing, Meters(source, in_flight)]
        return made

    def exposition(self) -> bytes:
        """Return what `/metrics` serves. Asks the database: not to be called on an event loop."""
        from hookline._observe.prometheus import exposition  # noqa: PLC0415

        if self.registry is None or self.source is None:
            raise InvalidSettings("metrics: is off; set HOOKLINE_METRICS to key or open")
        return exposition(self.registry, self.source)
