"""Asking the receivers of pending endpoints whether they expect webhooks.

A try is claimed with a lease, made with no transaction open, and settled: the endpoint is active,
or the next try is due by the schedule. Whoever dies in between leaves it to the next worker.
"""

import asyncio
import random
import secrets
from collections.abc import Callable
from contextlib import suppress

from hookline import __version__
from hookline._domain import handshake, ids, retry
from hookline._domain.address import Policy
from hookline._domain.delivery import Failure, Outcome
from hookline._domain.handshake import Handshake, Proof
from hookline._domain.identity import Proxying
from hookline._engine.attempt import Flight, prepare
from hookline._engine.errand import Errands
from hookline._engine.keys import new_key
from hookline._engine.lookout import keep_looking
from hookline._engine.tokens import Tokens, equip
from hookline._ports import (
    Clock,
    Handshakes,
    Leased,
    LeasedHandshake,
    Observer,
    Request,
)
from hookline._settings import Settings
from hookline.errors import DeliveryTimeout

AT_ONCE = 20
"""Tries of one worker at the same time: slow receivers hold up the others no longer than that."""
LOOK_INTERVAL = 0.5
"""Seconds between looks at a try that another process may be making."""
STOP_SECONDS = 5.0
"""What giving back is given when the engine stops and the database does not answer."""
CHALLENGE_BYTES = 32


class Handshaker:
    """Makes the tries that are due, and tells who waits for one. Lives on the engine's loop."""

    def __init__(
        self,
        handshakes: Handshakes,
        errands: Errands,
        clock: Clock,
        observer: Observer,
        settings: Settings,
        *,
        working: Callable[[], bool],
        ring: Callable[[], None],
    ) -> None:
        """`working`: whether deliveries are made here; `ring` is called when some were released."""
        self._handshakes = handshakes
        self._errands = errands
        self._clock = clock
        self._observer = observer
        self._settings = settings
        self._policy = settings.policy()
        self._proxying = settings.proxying()
        self._poll_ms = int(settings.poll_interval * 1000)
        self._lease_ms = int(settings.lease * 1000)
        self._timeout_ms = int(settings.timeout * 1000)
        self._working = working
        self._ring = ring
        self._wake = asyncio.Event()
        self._watched: set[asyncio.Event] = set()
        self._under_way: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[Proof]] = set()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look for pending endpoints."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Make no more tries; those under way are dropped and given back. Safe to call twice."""
        self._stopping = True
        self._wake.set()
        task, self._task = self._task, None
        if task is not None:  # what it claims at this moment is given back with the rest
            await asyncio.wait([task], timeout=STOP_SECONDS)
        for asking in list(self._asking):  # what has its answer is settled
            asking.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=STOP_SECONDS)

    def wake(self) -> None:
        """Look for a try now: an endpoint became pending. Call on the engine's loop."""
        self._wake.set()

    async def _run(self) -> None:
        await keep_looking(
            self._look,
            "looking for pending endpoints",
            wake=self._wake,
            clock=self._clock,
            observer=self._observer,
            stopping=lambda: self._stopping,
        )

    async def _look(self) -> int:
        """Begin the tries that are due; return when to look again unless woken before."""
        now = self._clock.now()
        room = AT_ONCE - len(self._under_way)
        if not self._working() or room < 1:
            return now + self._poll_ms  # one that ends wakes it
        due = await self._handshakes.next_due()
        if due is None or due > now:
            return now + self._poll_ms if due is None else min(due, now + self._poll_ms)
        for leased in await self._handshakes.claim(room, now, self._lease_ms, self._timeout_ms):
            task = asyncio.create_task(self._try(leased))
            self._under_way.add(task)
            task.add_done_callback(self._ended)
        return now + self._poll_ms

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._wake.set()

    async def _try(self, leased: LeasedHandshake) -> None:
        asking = asyncio.create_task(self._prove(leased))
        self._asking.add(asking)
        await asyncio.wait([asking])
        self._asking.discard(asking)
        try:
            if asking.cancelled():
                await self._handshakes.give_back(leased, self._clock.now())
            else:
                await self._settle(leased, asking.result())
        except Exception as error:  # noqa: BLE001 - it is due again when its lease ends
            self._observer.trouble("settling a handshake", error)
        for signal in self._watched:
            signal.set()

    async def _prove(self, leased: LeasedHandshake) -> Proof:
        """Make the try: one request, and what its answer means."""
        if leased.handshake is Handshake.NONE:  # not demanded any more
            return Proof(proved=True)
        now, challenge = self._clock.now(), secrets.token_urlsafe(CHALLENGE_BYTES)
        cloudevents = leased.handshake is Handshake.CLOUDEVENTS
        flight = _flight(leased, challenge, now)
        terms = self._settings, self._policy, self._proxying
        try:
            outcome = await equip(flight, Tokens(*terms), self._errands, now)
            if outcome is None:
                request = (
                    permission(flight, leased, *terms) if cloudevents else question(flight, *terms)
                )
                outcome = await self._errands.send(request)
        except Exception as error:  # noqa: BLE001 - one endpoint's damage is not the others'
            detail = f"could not be prepared: {error}"[:200]
            outcome = Outcome(failure=Failure.OTHER, detail=detail)
        if cloudevents:
            return handshake.judge_cloudevents(outcome, leased.origin)
        return handshake.judge_challenge(outcome, challenge)

    async def _settle(self, leased: LeasedHandshake, proof: Proof) -> None:
        now = self._clock.now()
        if proof.proved:
            released = await self._handshakes.succeed(leased, proof, now)
            if released is not None:
                self._observer.verified(leased.target, released)
                self._ring()
            return
        spread = random.uniform(-1, 1)  # noqa: S311 - jitter, not a secret
        wait = retry.delay_after(handshake.SCHEDULE, leased.step + 1, spread)
        at = None if wait is None else now + wait
        if await self._handshakes.fail(leased, proof, at):
            self._observer.unverified(leased.target, proof.detail, wait)

    async def ask(self, endpoint: bytes, timeout: float) -> None:
        """Return once a try was made from now on, by any worker; at once if it is not pending.

        DeliveryTimeout after `timeout` seconds.
        """
        changed = asyncio.Event()
        self._watched.add(changed)
        try:
            before = await self._handshakes.ask(endpoint, self._clock.now())
            async with asyncio.timeout(timeout):
                while before is not None and await self._handshakes.tries(endpoint) == before:
                    self.wake()
                    changed.clear()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), LOOK_INTERVAL)
        except TimeoutError:
            raise DeliveryTimeout(
                f"{ids.encode(ids.ENDPOINT, endpoint)}: nobody tried to verify it within "
                f"{timeout:g} s; is a worker running?"
            ) from None
        finally:
            self._watched.discard(changed)


def _flight(leased: LeasedHandshake, challenge: str, now: int) -> Flight:
    body = handshake.challenge_body(challenge, now)
    delivery = Leased(new_key(now), handshake.EVENT, body, leased.target, 0, leased.tries)
    return Flight(delivery, now, now)


def question(flight: Flight, settings: Settings, policy: Policy, proxying: Proxying) -> Request:
    """Return the challenge as a delivery is sent: signed, and with the endpoint's own headers."""
    request = prepare(flight, settings, policy, proxying, verbatim=True)
    request.limit = handshake.MOST_READ
    return request


def permission(
    flight: Flight,
    leased: LeasedHandshake,
    settings: Settings,
    policy: Policy,
    proxying: Proxying,
) -> Request:
    """Return the validation request of CloudEvents HTTP Webhooks 1.0.2, §4.1."""
    request = question(flight, settings, policy, proxying)
    request.method, request.body = "OPTIONS", b""
    request.header_lines = [
        "Content-Type:",  # libcurl's own for a body, of which there is none
        "Expect:",
        "Accept-Encoding: identity",
        f"User-Agent: hookline/{__version__}",
        *leased.target.header_lines,
        *([f"Authorization: Bearer {flight.token}"] if flight.token is not None else []),
        f"WebHook-Request-Origin: {leased.origin}",
    ]
    if leased.own_rate is not None:
        request.header_lines.append(f"WebHook-Request-Rate: {max(1, int(leased.own_rate * 60))}")
    return request
