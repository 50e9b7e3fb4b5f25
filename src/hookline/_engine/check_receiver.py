"""Looking at a receiver: test events one after another, rightly and wrongly signed.

Sent directly, not through the queue: nothing is stored, counted or tried again. A forged one is
like any other to look at, but for its signature; every body says that it is a test.
"""

from dataclasses import replace

from hookline._domain.delivery import Outcome
from hookline._domain.endpoint import Target, active_secrets
from hookline._domain.envelope import envelope
from hookline._domain.receiver_check import (
    ACCEPTS,
    DUPLICATE,
    EVENT,
    MISSING,
    OLD,
    QUICK,
    WRONG,
    ReceiverCheck,
    accepts,
    duplicate,
    not_checked,
    quick,
    refuses,
)
from hookline._engine.attempt import Flight, prepare
from hookline._engine.errand import Errands
from hookline._engine.keys import new_key
from hookline._engine.tokens import Tokens, equip
from hookline._ports import Clock, Leased, Request
from hookline._settings import Settings

LONG_AGO = 600_000
"""Milliseconds: twice what verifiers of Standard Webhooks let pass."""
TEST_DATA = {"test": True, "message": "This is a test. Nothing happened, nothing is to be done."}
_GUIDE, _STANDARD = "x-webhook-signature:", "webhook-signature:"
_REST = (DUPLICATE, WRONG, MISSING, OLD, QUICK)


class _Prober:
    """Makes and sends the requests to one receiver."""

    def __init__(self, target: Target, errands: Errands, clock: Clock, settings: Settings) -> None:
        self._target = target
        self._errands = errands
        self._clock = clock
        self._settings = settings
        self._policy, self._proxying = settings.policy(), settings.proxying()
        self._tokens = Tokens(settings, self._policy, self._proxying)
        self._token: str | None = None

    async def equip(self) -> Outcome | None:
        """Fetch the access token that every request takes, if there is to be one."""
        now = self._clock.now()
        flight = Flight(Leased(new_key(now), EVENT, b"", self._target, 0), now, now)
        failed = await equip(flight, self._tokens, self._errands, now)
        self._token = flight.token
        return failed

    def request(
        self, *, message: bytes | None = None, ago: int = 0, target: Target | None = None
    ) -> Request:
        """Return a test event as it would be delivered, signed `ago` ms in the past."""
        at = self._clock.now() - ago
        body = envelope(EVENT, TEST_DATA, at).content
        delivery = Leased(message or new_key(at), EVENT, body, target or self._target, 0)
        flight = Flight(delivery, at, at, token=self._token)
        return prepare(flight, self._settings, self._policy, self._proxying, verbatim=True)

    async def genuine(self, message: bytes) -> Outcome:
        return await self._errands.send(self.request(message=message))

    async def tampered(self) -> Outcome:
        """Send a body other than the one that was signed: a millisecond makes the difference."""
        request = self.request()
        later = envelope(EVENT, TEST_DATA, self._clock.now() + 1).content
        return await self._errands.send(replace(request, body=later))

    async def unsigned(self) -> Outcome:
        return await self._errands.send(
            self.request(target=replace(self._target, secrets=(), _signer_until=-1))
        )

    async def old(self) -> Outcome:
        return await self._errands.send(self.request(ago=LONG_AGO))

    async def without_standard(self) -> Outcome:
        """Send an event that only a receiver of `X-Webhook-Signature` takes."""
        request = self.request()
        lines = [
            line
            for line in request.header_lines
            if not line.lower().startswith(("webhook-", "svix-"))
        ]
        return await self._errands.send(replace(request, header_lines=lines))


async def examine(
    target: Target, errands: Errands, clock: Clock, settings: Settings
) -> list[ReceiverCheck]:
    """Return the result of every check."""
    prober = _Prober(target, errands, clock, settings)
    signed = bool(active_secrets(target.secrets, clock.now()))
    message = new_key(clock.now())
    first = await prober.equip() or await prober.genuine(message)
    found = [accepts(first, signed=signed)]
    if not first.ok:
        why = f"{ACCEPTS} failed: of a receiver that takes nothing, nothing else can be said"
        return [*found, *(not_checked(check, why) for check in _REST)]
    found.append(duplicate(await prober.genuine(message)))
    if signed:
        tampered = await prober.tampered()
        found.append(refuses(WRONG, tampered))
        found.append(refuses(MISSING, await prober.unsigned()))
        found.append(await _old(prober, blind=tampered.ok))
    else:
        why = "the endpoint has no secret, so there is no signature to check"
        found += [not_checked(check, why) for check in (WRONG, MISSING, OLD)]
    return [*found, quick(first)]


async def _old(prober: _Prober, *, blind: bool) -> ReceiverCheck:
    """Judge what is made of an old timestamp, where the receiver looks at one at all.

    `blind`: it takes any signature.
    """
    lines = [line.lower() for line in prober.request().header_lines]
    if not any(line.startswith(_STANDARD) for line in lines):
        return not_checked(OLD, "requests are not signed as Standard Webhooks has it")
    if blind:
        return not_checked(OLD, f"{WRONG} failed: it does not check signatures at all")
    old = await prober.old()
    guide = any(line.startswith(_GUIDE) for line in lines)
    if old.ok and guide and (await prober.without_standard()).ok:
        return not_checked(
            OLD, "the receiver checks X-Webhook-Signature, which is over the body alone: no time"
        )
    return refuses(OLD, old)
