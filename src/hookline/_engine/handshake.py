"""Asking the receivers of pending endpoints whether they expect webhooks.

A try is claimed with a lease, made with no transaction open, and settled: the endpoint is active,
or the next try is due by the schedule. Whoever dies in between leaves it to the next worker.
"""

import asyncio
import random
import secrets
from collections.abc import Callable

from hookline import __version__
from hookline._domain import handshake, ids, retry
from hookline._domain.address import Policy
from hookline._domain.delivery import Failure, Outcome
from hookline._domain.handshake import Handshake, Proof
from hookline._domain.identity import Proxying
from hookline._engine.attempt import Flight, prepare
from hookline._engine.background import STOP_SECONDS, Background, told
from hookline._engine.errand import Errands
from hookline._engine.keys import new_key
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
CHALLENGE_BYTES = 32


class Handshaker(Background):
    """Makes the tries that are due."""

    what = "looking for pending endpoints"

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
        """See `Background`."""
        super().__init__(clock, observer, settings, working=working, ring=ring)
        self._handshakes = handshakes
        self._errands = errands
        self._settings = settings
        self._policy = settings.policy()
        self._proxying = settings.proxying()
        self._timeout_ms = int(settings.timeout * 1000)
        self._under_way: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[Proof]] = set()

    async def stop(self) -> None:
        """Make no more tries; those under way are dropped and given back. Safe to call twice."""
        await super().stop()  # what is claimed at this moment is given back with the rest
        for asking in list(self._asking):  # what has its answer is settled
            asking.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=STOP_SECONDS)

    async def _look(self) -> int:
        """Begin the tries that are due; return when to look again unless woken before."""
        now = self._clock.now()
        room = AT_ONCE - len(self._under_way)
        if not self._working() or room < 1:
            return now + self._poll_ms  # one that ends wakes it
        due = await self._handshakes.next_due()
        if due is None or due > now:
            return self._at(due, now)
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
        self._tell()

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
        try:
            with self._watching() as changed:
                before = await self._handshakes.ask(endpoint, self._clock.now())
                async with asyncio.timeout(timeout):
                    while before is not None and await self._handshakes.tries(endpoint) == before:
                        self.wake()
                        changed.clear()
                        await told(changed)
        except TimeoutError:
            raise DeliveryTimeout(
                f"{ids.encode(ids.ENDPOINT, endpoint)}: nobody tried to verify it within "
                f"{timeout:g} s; is a worker running?"
            ) from None


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
