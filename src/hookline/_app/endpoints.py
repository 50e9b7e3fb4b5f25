"""Endpoints: made, changed, tried, and looked after."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Unpack

from hookline._app.catalogue import DeclaredEvents
from hookline._app.publishing import Event, Publishing
from hookline._app.scope import check_verified, stored_key
from hookline._domain import check, forms, ids
from hookline._domain.application import checked_uid
from hookline._domain.endpoint import Endpoint, SigningSecret, Target
from hookline._domain.envelope import as_it_is
from hookline._domain.history import EndpointHealth, EndpointStats
from hookline._domain.options import KNOWN, EndpointOptions
from hookline._domain.page import Page, Window
from hookline._domain.receiver_check import EVENT as TEST_EVENT
from hookline._domain.receiver_check import ReceiverCheck
from hookline._domain.signature import SecretKind, check_secret, kind_of
from hookline._engine import check_receiver
from hookline._engine.engine import Engine
from hookline._engine.errand import Errands
from hookline._engine.keys import generate_secret, new_key
from hookline._engine.receipt import Receipt
from hookline._ports import NewMessage
from hookline._said import Said
from hookline._sending.sender import CurlSender
from hookline.errors import EndpointDisabled, EndpointNotFound, InvalidInput, SecretsLocked

CHANGEABLE = frozenset({"url", "events", "headers", "uid", *KNOWN})
DISABLED = "disabled over the API"
PAUSED = "paused"
STATS_MS = 28 * 24 * 3600 * 1000


class Endpoints(Publishing):
    """The endpoints of one application."""

    async def endpoints(self) -> list[Endpoint]:
        """Return every endpoint, oldest first: from code, file and API, disabled ones too."""
        return await self._ask(lambda e, app: e.store.endpoints.all(app))

    async def endpoint_page(self, window: Window) -> Page[Endpoint]:
        """Return a part of the endpoints, in the order they were made."""
        return await self._ask(lambda e, app: e.store.endpoints.page(app, window))

    async def create_endpoint(
        self,
        url: str,
        events: Sequence[str | Enum] = ("*",),
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        uid: str | None = None,
        disabled: bool = False,
        key: bytes | None = None,
        **options: Unpack[EndpointOptions],
    ) -> Endpoint:
        """Make an endpoint that no code and no file declares, and return it, with its secret.

        Without a `secret` it gets a fresh one. Two may have the same URL; `uid` is your own name
        for it, unique in its application; `key` makes a second try find what the first one made.
        Otherwise as `register`. Raises AlreadyExists too.
        """
        signed = generate_secret() if secret is None else secret
        made = self._admission.endpoint("api", url, events, signed, headers, options)
        reason = DISABLED if disabled else None
        new = replace(made, uid=checked_uid(uid, ids.ENDPOINT), disabled_reason=reason)
        found = await self._ask(
            lambda e, app: e.store.endpoints.create(app, new, e.clock.now(), key)
        )
        self._wake_handshaker()
        return found

    async def update_endpoint(
        self, /, endpoint: str | Endpoint, *, disabled: bool | None = None, **changes: Any
    ) -> Endpoint:
        """Change what is named, by the names `create_endpoint` has; the rest stays as it is.

        An option that is None goes back to its default. `disabled` False enables, and sends what
        was held. One that was declared in code or file stays changed until that declaration is.
        Raises what `create_endpoint` raises, and EndpointNotFound.
        """
        for name in changes:
            if name not in CHANGEABLE:
                raise InvalidInput(
                    f"{name}: cannot be changed; {', '.join(sorted(CHANGEABLE))} can"
                )
        found = await self._found(endpoint)
        values = self._checked(found, changes)
        if disabled is not None and disabled != found.disabled:
            values["disabled_reason"] = DISABLED if disabled else None
        key = stored_key(found)

        async def update(engine: Engine, app: bytes) -> Endpoint:
            now = engine.clock.now()
            changed, released = await engine.store.endpoints.update(app, key, values, now)
            engine.handshaker.wake()
            if released:
                engine.ring_released()
            return changed

        return await self._ask(update)

    def _checked(self, found: Endpoint, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the changes as they are stored, judged together with what stays."""
        kept = {
            name: getattr(found, name)
            for name in ("url", "events", "headers", *KNOWN)
            if getattr(found, name) not in ((), {}, "")
        }
        merged = {**kept, **changes}
        uid = checked_uid(merged.pop("uid", None), ids.ENDPOINT)
        judged = self._admission.endpoint(
            found.source,
            merged.pop("url"),
            merged.pop("events", None) or ("*",),
            found.secret,
            merged.pop("headers", None),
            merged,
            known_url=not {"url", "allowed_networks"} & changes.keys(),
        )
        return {name: uid if name == "uid" else getattr(judged, name) for name in changes}

    async def delete_endpoint(self, endpoint: str | Endpoint) -> None:
        """Delete an endpoint and cancel what waits for it; what was sent stays in the log.

        One that is declared in code or file is back with the next start: disable it instead.
        """
        key = await self._endpoint_key(endpoint)
        await self._ask(lambda e, app: e.store.endpoints.delete(app, key, e.clock.now()))

    async def endpoint_health(self, endpoint: str | Endpoint) -> EndpointHealth:
        """Return how an endpoint is doing: its circuit, what waits for it, the last attempt."""
        key = await self._endpoint_key(endpoint)
        found = await self._ask(lambda e, app: e.store.endpoints.health(app, key, e.clock.now()))
        if found is None:
            raise EndpointNotFound(Said("no endpoint {name} (any more)", name=repr(endpoint)))
        return found

    async def endpoint_stats(
        self,
        endpoint: str | Endpoint,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> EndpointStats:
        """Count how deliveries ended from `since` (28 days ago) until before `until` (now).

        Whole hours that are over by what was tallied: of a worker that was killed, what it did in
        its last seconds may be missing. The rest is counted in the log.
        """
        key = await self._endpoint_key(endpoint)
        now = self._runtime.clock.now()
        first = now - STATS_MS if since is None else check.milliseconds("since", since)
        last = now if until is None else check.milliseconds("until", until)
        return await self._ask(lambda e, _: e.store.history.stats(key, first, last, now))

    async def pause(self, endpoint: str | Endpoint) -> None:
        """Hold an endpoint's deliveries for a while: `disable`, with the reason `paused`."""
        await self.disable(endpoint, PAUSED)

    async def resume(self, endpoint: str | Endpoint) -> int:
        """End a pause: `enable`."""
        return await self.enable(endpoint)

    def _wake_handshaker(self) -> None:
        engine = self._runtime.engine
        if engine is not None:
            engine.home.call_soon_threadsafe(engine.handshaker.wake)

    async def rotate_secret(
        self,
        endpoint: str | Endpoint,
        secret: str | None = None,
        *,
        kind: SecretKind | None = None,
        overlap: timedelta = timedelta(hours=24),
    ) -> str:
        """Give an endpoint a new signing secret, a fresh one unless given; return it, shown once.

        A fresh one is of the `kind` "hmac" (`whsec_…`) or "ed25519" (`whsk_…`), by default of the
        kind it replaces. During the overlap both secrets sign: headers that carry several values
        (`webhook-signature`, `svix-signature`, `Stripe-Signature`) have both, newest first, and the
        others, `X-Webhook-Signature` among them, stay with the old one until the overlap ends.
        `overlap` of zero ends an overlap at once. Raises EndpointNotFound, or InvalidSecret.
        """
        if secret is not None and kind is not None:
            raise InvalidInput("kind: is for a fresh secret; with one of your own, leave it out")
        found = await self._found(endpoint)
        new = generate_secret(kind or kind_of(found.secret)) if secret is None else secret
        check_secret(new)
        forms.check(found.signatures, new)
        key, now = stored_key(found), self._runtime.clock.now()
        until = now + round(overlap.total_seconds() * 1000)
        await self._ask(lambda e, _: e.store.endpoints.rotate_secret(key, new, until, now))
        return new

    async def show_secret(self, endpoint: str | Endpoint) -> str | None:
        """Return an endpoint's newest signing secret, to show it: the audit log notes that.

        None for an endpoint whose requests are not signed. Raises EndpointNotFound, SecretsLocked.
        """
        found = await self._found(endpoint)
        if found.locked is not None:
            raise SecretsLocked(f"endpoint {found.url}: {found.locked}")
        key = stored_key(found)
        await self._ask(lambda e, _: e.store.audit.secret_read(key, e.clock.now()))
        return found.secret

    async def disable(self, endpoint: str | Endpoint, reason: str) -> None:
        """Hold an endpoint's deliveries from now on. Nothing is lost: see `enable`."""
        key = await self._endpoint_key(endpoint)
        await self._ask(lambda e, _: e.store.endpoints.disable(key, reason, e.clock.now()))

    async def enable(self, endpoint: str | Endpoint) -> int:
        """Enable an endpoint and send what was held meanwhile; return how many deliveries."""
        key = await self._endpoint_key(endpoint)

        async def enable(engine: Engine, _: bytes) -> int:
            held = await engine.store.endpoints.enable(key, engine.clock.now())
            engine.ring_released()
            return held

        return await self._ask(enable)

    async def change_url(self, endpoint: str | Endpoint, url: str) -> Endpoint:
        """Send an endpoint's webhooks to another URL from now on, retries and held ones too.

        Where a handshake is demanded, it is pending until the new place has answered. One that was
        declared in code or file keeps the URL it is declared with as its name there, and moves
        again when that declaration changes. Raises InvalidUrl, BlockedDestination, or InvalidInput
        when another endpoint has the URL.
        """
        found = await self._found(endpoint)
        moved = self._admission.allowed(url, found.allowed_networks)
        key = stored_key(found)
        await self._ask(lambda e, _: e.change_url(key, moved))
        return await self._found(found)

    async def verify_endpoint(self, endpoint: str | Endpoint, *, timeout: float = 60.0) -> Endpoint:
        """Try now to verify a pending endpoint, and return it as it is then: see `Endpoint.state`.

        The schedule begins anew with this try, which a process that delivers makes. `timeout` in
        seconds until it is made; DeliveryTimeout afterwards. Raises EndpointNotFound or
        EndpointDisabled. An endpoint that is not pending is returned as it is.
        """
        found = await self._found(endpoint)
        if found.disabled:
            raise EndpointDisabled(
                Said("endpoint {url} is disabled: enable it first", url=found.url)
            )
        if found.pending_since is None:
            return found
        key = stored_key(found)
        await self._ask(lambda e, _: e.handshaker.ask(key, timeout))
        return await self._found(found)

    async def send_test(
        self, endpoint: str | Endpoint, event: str | Enum | None = None, data: Any = None
    ) -> Receipt:
        """Send one event to this endpoint alone, whatever it listens to, and return its receipt.

        As any other it is stored, signed, logged, and tried again when it fails; to a disabled or
        pending endpoint it is held. `event` is `webhook.test` unless you name another of the
        catalogue; `data` are those of the example in its model, or say that this is a test, unless
        you have something better. Raises EndpointNotFound, UnknownEventType, InvalidPayload or
        PayloadTooLarge.
        """
        catalogue = DeclaredEvents() if event is None else self._admission.catalogue
        content = data
        if content is None:
            content = catalogue.example(event or TEST_EVENT) or check_receiver.TEST_DATA
        message = self._message(Event(event or TEST_EVENT, content), catalogue)
        return await self._publish_to(endpoint, message)

    async def send_to(self, endpoint: str | Endpoint, event: str | Enum, body: bytes) -> Receipt:
        """Send a body of your own making to this endpoint alone: `send_test`, byte for byte."""
        name = self._admission.catalogue.published(event)
        content = as_it_is(name, body, limit=self._runtime.settings.payload_limit)
        message = self._addressed(Event(name, None), name, content, self._runtime.clock.now())
        return await self._publish_to(endpoint, message)

    async def _publish_to(self, endpoint: str | Endpoint, message: NewMessage) -> Receipt:
        key = await self._endpoint_key(endpoint)

        async def publish(engine: Engine, app: bytes) -> None:
            message.app = app
            await engine.store.publish_to(message, key)
            engine.ring_due()

        await self._ask(publish)
        return self._receipt(message, message.key)

    async def check_receiver(
        self,
        endpoint: str | Endpoint,
        *,
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[ReceiverCheck]:
        """Return how a receiver treats test events, rightly and wrongly signed, check by check.

        `endpoint` is one of yours; or, with its `secret`, any URL. Up to six events of the type
        `webhook.test` are sent to it directly, one after another: nothing is stored, counted or
        tried again. Raises EndpointNotFound, EndpointDisabled for a pending one, InvalidUrl or
        BlockedDestination.
        """
        if secret is not None:
            url = endpoint.url if isinstance(endpoint, Endpoint) else endpoint
            declared = self._admission.endpoint("code", url, ["*"], secret, headers, {})
            target = _target(declared, self._runtime.clock.now())
        else:
            target = await self._stored_target(endpoint)
        settings, clock = self._runtime.settings, self._runtime.clock
        errands = Errands(CurlSender(response_limit=settings.response_limit))
        try:
            return await check_receiver.examine(target, errands, clock, settings)
        finally:
            await asyncio.to_thread(errands.stop)

    async def _stored_target(self, endpoint: str | Endpoint) -> Target:
        found = await self._found(endpoint)
        check_verified(found)
        key = stored_key(found)
        target = await self._ask(lambda e, _: e.store.handshakes.target(key))
        if target is None:
            raise EndpointNotFound(Said("no endpoint {name} (any more)", name=repr(found.url)))
        return target


def _target(declared: Endpoint, now: int) -> Target:
    """Return what sending to an endpoint needs that is stored nowhere."""
    return Target(
        key=new_key(now),
        revision=0,
        url=declared.url,
        header_lines=tuple(f"{name}: {value}" for name, value in declared.headers.items()),
        secrets=(SigningSecret(declared.secret),) if declared.secret else (),
    )
