"""What endpoints have to be like to be let in: from code, from a file, or over the API."""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from hookline._app.catalogue import DeclaredEvents
from hookline._domain import forms
from hookline._domain import headers as header_policy
from hookline._domain import url as url_parser
from hookline._domain.address import judge_url, remedy
from hookline._domain.endpoint import Endpoint
from hookline._domain.handshake import Handshake
from hookline._domain.options import checked
from hookline._domain.signature import check_secret
from hookline._said import Said
from hookline._sending import certificates
from hookline._sending.curl import unsupported
from hookline._settings import Settings
from hookline.errors import BlockedDestination, InvalidHeader, InvalidInput

log = logging.getLogger("hookline")


class Admission:
    """The checks at the door, as the settings and the catalogue have them."""

    def __init__(self, settings: Settings, catalogue: DeclaredEvents) -> None:
        """`catalogue` says which event types there are."""
        self.catalogue = catalogue
        self._settings = settings
        self._policy = settings.policy()

    def endpoint(
        self,
        source: str,
        url: str,
        events: Iterable[str | Enum],
        secret: str | None,
        headers: Mapping[str, str] | None,
        options: Mapping[str, Any],
        *,
        known_url: bool = False,
    ) -> Endpoint:
        """Return an endpoint that may be stored; raise InvalidInput naming what is wrong with it.

        `known_url`: it was let in before, and is not judged anew.
        """
        given = checked(options)
        if given.get("handshake") == Handshake.CLOUDEVENTS and not self._settings.handshake_origin:
            raise InvalidInput(
                Said(
                    "handshake: 'cloudevents' needs the setting handshake_origin, the name "
                    "receivers are to know this sender by, such as webhooks.example.com"
                )
            )
        signatures = given.get("signatures")
        secret = None if secret is None else check_secret(secret)
        forms.check(signatures, secret)
        networks = given.get("allowed_networks", ())
        declared = Endpoint(
            url=url if known_url else self.allowed(url, networks),
            events=self.catalogue.subscriptions(events),
            secret=secret,
            headers=header_policy.check(headers or {}, forms.reserved(signatures)),
            source=source,
            **given,
        )
        self._check_identity(declared)
        return declared

    def _check_identity(self, declared: Endpoint) -> None:
        """Check by whom, as whom and by which way an endpoint is reached; warn of what expired."""
        lacking = unsupported(
            ca=declared.ca is not None,
            certificate=declared.client_certificate is not None,
            http2=declared.http2,
        )
        if lacking is not None:
            raise InvalidInput(lacking)
        certificates.check(declared.ca, declared.client_certificate, declared.client_key)
        if declared.oauth2 is not None:
            self._check_oauth2(declared, declared.oauth2)
        for name in ("ca", "client_certificate"):
            pem = getattr(declared, name)
            for expired in certificates.expired(pem, datetime.now(UTC)) if pem else ():
                log.warning("Endpoint %s: %s: %s", declared.url, name, expired)

    def _check_oauth2(self, declared: Endpoint, oauth2: Mapping[str, Any]) -> None:
        try:
            self.allowed(oauth2["token_url"], declared.allowed_networks)
        except BlockedDestination as error:
            raise BlockedDestination(
                Said("oauth2.token_{error}", error=error.args[0]), error.verdict
            ) from None
        certificates.check(oauth2.get("ca"), None, None, name="oauth2.ca")
        if any(name.lower() == "authorization" for name in declared.headers):
            raise InvalidHeader(
                Said("header 'Authorization': is set by oauth2; leave out one of the two")
            )

    def allowed(self, text: str, networks: Iterable[str]) -> str:
        """Return the normalised URL; raise InvalidUrl, or BlockedDestination when it may not be."""
        url = url_parser.parse(text)
        verdict = judge_url(url, self._policy.widened(networks))
        if verdict is not None:
            said = Said(
                "url: {code}: {reason}. {remedy}",
                code=verdict.code,
                reason=verdict.reason,
                remedy=remedy(verdict),
            )
            raise BlockedDestination(said, verdict)
        return str(url)
