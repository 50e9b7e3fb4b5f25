"""What an operator sees at a glance, over all applications."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from hookline._domain.breaker import CircuitState
from hookline._domain.delivery import Attempt, DeliveryState
from hookline._domain.history import Message


@dataclass(frozen=True, slots=True)
class Trouble:
    """An endpoint that fails or is not sent to, and whose it is."""

    endpoint_id: str
    application_id: str
    url: str
    circuit: CircuitState = CircuitState.CLOSED
    failures: int = 0
    failing_since: datetime | None = None
    waits_until: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None


MOST_GLANCED = 250
"""Where lists stop counting what waits for an endpoint: they do so for a page of them."""


@dataclass(frozen=True, slots=True)
class Glance:
    """How an endpoint is doing, as lists show it; what each means is `EndpointHealth`'s.

    What is `pending` and `sending` is counted to `MOST_GLANCED` each.
    """

    circuit: CircuitState
    failures: int
    waits_until: datetime | None
    pending: int
    sending: int
    last_attempt_at: datetime | None
    last_status: int | None
    last_failure: str | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery whose last attempt failed, with that attempt. `message` is None when it is gone.

    `application_id` and `application`, its uid or name, are empty then, too.
    """

    attempt: Attempt
    message: Message | None
    application_id: str
    application: str = ""


@dataclass(frozen=True, slots=True)
class Stands:
    """A message, how many of its deliveries stand where, and whose it is.

    `application` is the uid of that, or its name.
    """

    message: Message
    states: Mapping[DeliveryState, int]
    application_id: str = ""
    application: str = ""
