"""Everything off the hot path, under one roof."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from hookline._domain.backlog import Backlog
from hookline._domain.delivery import Attempt, DeliveryStatus
from hookline._domain.vitals import Pulse, Vitals
from hookline._ports.queue import NewMessage
from hookline._ports.records import Audit, History, Operational, Overview, Tallies, Usages
from hookline._ports.tenants import Answers, ApiKeys, Applications, Endpoints, EventTypes
from hookline._ports.work import Handshakes, Jobs


class Reencrypted(NamedTuple):
    """How many texts were sealed anew, and how many were left because they do not open."""

    written: int
    locked: int


class Store(Protocol):
    """Everything off the hot path."""

    async def start(self, now: int) -> bytes:
        """Bring the schema up to date where allowed; return the default application's key."""
        ...

    async def stop(self) -> None:
        """Close the connections. Safe to call twice."""

    async def attempts(self, message: bytes) -> list[Attempt]:
        """Return the log of a message, oldest first."""
        ...

    async def deliveries(self, message: bytes, now: int) -> list[DeliveryStatus] | None:
        """Return where a message stands at each endpoint; None while it is not routed yet."""
        ...

    async def join(
        self, session: Any, new: Sequence[NewMessage], on_commit: Callable[[], None]
    ) -> list[bytes]:
        """Publish inside the caller's transaction; `on_commit` hears of its commit, if told.

        Returns the keys that the messages are known by. Raises SessionMismatch.
        """
        ...

    async def cancel(self, message: bytes, now: int) -> int:
        """Stop what has not been sent of a message; return how many deliveries that were."""
        ...

    async def resend(self, message: bytes, endpoint: bytes, now: int) -> bool:
        """Make a manual attempt due now; False while one is being sent."""
        ...

    async def erase(self, message: bytes, now: int) -> None:
        """Erase what a message said and what was answered."""

    async def migrate(self) -> bool:
        """Bring the schema up to date; return whether there was anything to do."""
        ...

    async def reencrypt(
        self, on_progress: Callable[[int, int], None], *, decrypt: bool
    ) -> Reencrypted:
        """Seal secrets with the first key, or store them open; SecretsLocked without their keys."""
        ...

    @property
    def applications(self) -> Applications:
        """The applications."""
        ...

    @property
    def endpoints(self) -> Endpoints:
        """The endpoints of all applications."""
        ...

    @property
    def overview(self) -> Overview:
        """What an operator sees at a glance."""
        ...

    @property
    def tallies(self) -> Tallies:
        """How many attempts ended how."""
        ...

    @property
    def event_types(self) -> EventTypes:
        """The event types, as they are catalogued."""
        ...

    @property
    def history(self) -> History:
        """Looking up what was published, and what became of it."""
        ...

    @property
    def api_keys(self) -> ApiKeys:
        """The keys of the REST API."""
        ...

    @property
    def answers(self) -> Answers:
        """Answers to requests that may be sent again."""
        ...

    @property
    def audit(self) -> Audit:
        """Who changed what, and when."""
        ...

    @property
    def usage(self) -> Usages:
        """How much was sent."""
        ...

    @property
    def operational(self) -> Operational:
        """Who is told of what happens here, as webhooks."""
        ...

    async def prune(self, now: int) -> None:
        """Remove what has served its time."""

    # replay

    @property
    def jobs(self) -> Jobs:
        """Replays, and how far they got."""
        ...

    @property
    def handshakes(self) -> Handshakes:
        """Pending endpoints, and what came of the tries to verify them."""
        ...

    async def publish_to(self, message: NewMessage, endpoint: bytes) -> None:
        """Publish a message for one endpoint alone, whatever it wants to hear."""

    async def release_held(self, now: int) -> int:
        """Make held deliveries of enabled endpoints due; return how many there were."""
        ...

    # doctor

    async def reach(self) -> None:
        """Raise StorageError, saying what to check, when the database cannot be opened."""
        ...

    async def pulse(self) -> Pulse:
        """Return the schema's version and who is delivering; StorageError when out of reach."""
        ...

    async def backlog(self, now: int, app: bytes | None = None) -> Backlog:
        """Return what waits, in one application or in all; StorageError when out of reach."""
        ...

    async def vitals(self, now: Callable[[], int]) -> Vitals:
        """Return what the doctor judges. Changes nothing, and needs no `start`."""
        ...
