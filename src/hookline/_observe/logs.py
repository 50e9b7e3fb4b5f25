"""The guide's log lines, word for word, with structured fields beside them."""

import logging

from hookline._domain import ids
from hookline._domain.delivery import DeliveryState
from hookline._domain.endpoint import Target
from hookline._domain.finding import span
from hookline._ports import Settlement
from hookline.errors import HooklineError

log = logging.getLogger("hookline")


class LogObserver:
    """`_ports.Observer` on the `hookline` logger."""

    def routed(self, message: bytes, event_type: str, endpoints: int) -> None:
        """`Triggering 2 webhooks for event customer.created`."""
        level = logging.INFO if endpoints else logging.DEBUG
        if log.isEnabledFor(level):
            log.log(
                level,
                "Triggering %d webhooks for event %s",
                endpoints,
                event_type,
                extra={
                    "message_id": ids.encode(ids.MESSAGE, message),
                    "event_type": event_type,
                    "endpoints": endpoints,
                },
            )

    def attempted(self, settlement: Settlement) -> None:
        """`Webhook sent successfully to …`, or `Error sending webhook to …: Connection timeout`."""
        url, decision = settlement.delivery.target.url, settlement.decision
        if decision.state is DeliveryState.SUCCEEDED:
            if log.isEnabledFor(logging.INFO):
                log.info("Webhook sent successfully to %s", url, extra=_fields(settlement))
            return
        log.error(
            "Error sending webhook to %s: %s", url, decision.reason, extra=_fields(settlement)
        )
        if decision.state is DeliveryState.EXHAUSTED:
            log.error(
                "Giving up on %s at %s after %d attempts",
                ids.encode(ids.MESSAGE, settlement.delivery.message),
                url,
                settlement.delivery.attempts + 1,
                extra=_fields(settlement),
            )

    def unfiltered(self, message: bytes, target: Target, problem: str) -> None:
        """Say that a filter failed, and that the endpoint gets the event."""
        message_id = ids.encode(ids.MESSAGE, message)
        log.warning(
            "The filter of endpoint %s failed on %s, which is sent: %s",
            target.url,
            message_id,
            problem,
            extra={
                "message_id": message_id,
                "endpoint_id": ids.encode(ids.ENDPOINT, target.key),
                "reason": problem,
            },
        )

    def lost(self, settlement: Settlement) -> None:
        """A lease ran out before the answer was there: another worker has the delivery."""
        log.warning(
            "The lease of %s at %s was lost; another worker has it",
            ids.encode(ids.MESSAGE, settlement.delivery.message),
            settlement.delivery.target.url,
            extra=_fields(settlement),
        )

    def failing(self, target: Target, milliseconds: int) -> None:
        """Warn before an endpoint is disabled."""
        log.warning(
            "Endpoint %s had no success for %d hours; it is disabled after 5 days",
            target.url,
            milliseconds // 3_600_000,
            extra={
                "endpoint_id": ids.encode(ids.ENDPOINT, target.key),
                "failing_ms": milliseconds,
            },
        )

    def disabled(self, target: Target, reason: str) -> None:
        """Say that the system disabled an endpoint."""
        log.warning(
            "Endpoint %s is disabled: %s; its deliveries are held",
            target.url,
            reason,
            extra={"endpoint_id": ids.encode(ids.ENDPOINT, target.key), "reason": reason},
        )

    def verified(self, target: Target, released: int) -> None:
        """Say that a pending endpoint is active."""
        log.info(
            "Endpoint %s is verified; %d held webhooks are sent",
            target.url,
            released,
            extra={"endpoint_id": ids.encode(ids.ENDPOINT, target.key), "released": released},
        )

    def unverified(self, target: Target, reason: str, next_try_in: int | None) -> None:
        """Say why a pending endpoint stays so, and what comes next."""
        again = "verify_endpoint() tries again" if next_try_in is None else "tried again"
        when = "" if next_try_in is None else f" in {span(next_try_in)}"
        log.warning(
            "Endpoint %s is not verified: %s; %s%s",
            target.url,
            reason,
            again,
            when,
            extra={
                "endpoint_id": ids.encode(ids.ENDPOINT, target.key),
                "reason": reason,
                "next_try_in_ms": next_try_in,
            },
        )

    def trouble(self, what: str, error: BaseException) -> None:
        """Log trouble the engine survives."""
        said = (
            str(error) if isinstance(error, HooklineError) else f"{type(error).__name__}: {error}"
        )
        extra = {"doing": what, "error": type(error).__name__}
        log.error("Trouble while %s, trying again: %s", what, said, extra=extra)


def _fields(settlement: Settlement) -> dict[str, object]:
    delivery, outcome = settlement.delivery, settlement.outcome
    return {
        "event_type": delivery.event_type,
        "message_id": ids.encode(ids.MESSAGE, delivery.message),
        "endpoint_id": ids.encode(ids.ENDPOINT, delivery.target.key),
        "attempt": delivery.attempts + 1,
        "state": settlement.decision.state.value,
        "status": outcome.status,
        "failure": outcome.failure.value if outcome.failure is not None else None,
        "duration_ms": outcome.timings.total // 1000,
    }
