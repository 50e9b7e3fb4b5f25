"""Every exception Hookline raises.

::

    HooklineError
    ├── InvalidInput (ValueError)      what came in cannot be used; nothing was written
    │   ├── InvalidUrl                 an endpoint's URL
    │   │   └── BlockedDestination     nothing may be sent there: the guard's verdict
    │   ├── InvalidHeader              an endpoint's own header
    │   ├── InvalidSecret              a signing secret
    │   ├── InvalidExpression          a filter or a transformation
    │   ├── InvalidPayload             data that JSON cannot carry, or no data of that event
    │   │   └── PayloadTooLarge        the body is over the limit
    │   └── UnknownEventType           not in the catalogue
    ├── InvalidSettings (ValueError)   a setting, its source and what was expected
    ├── InvalidWebhooksFile (ValueError)  webhooks.json, with file, position and reason
    ├── IdempotencyConflict            the same key was used with another event
    ├── AlreadyExists                  the uid or name is taken
    ├── ApplicationNotFound (LookupError) no application with that id or uid
    ├── AttemptNotFound (LookupError)  no attempt with that id
    ├── EventTypeNotFound (LookupError) no event type with that name
    ├── EndpointNotFound (LookupError) no endpoint with that id or URL
    ├── EndpointDisabled               nothing is sent to it before it is enabled, or verified
    ├── MessageNotFound (LookupError)  no message with that id, or it is gone by retention
    ├── JobNotFound (LookupError)      no replay with that id
    ├── ApiKeyNotFound (LookupError)   no API key with that id
    ├── PlanOutdated                   what a plan was made for has changed since
    ├── ImportInterrupted              a part of a plan was applied; the message says which
    ├── InvalidApiKey                  a token that opens nothing: unknown, expired or revoked
    ├── SessionMismatch                session= or connection= cannot hold the event
    ├── DeliveryTimeout (TimeoutError) receipt.delivered or job.finished ran out of time
    └── StorageError                   the database refused or is out of reach
        └── SecretsLocked              secrets are encrypted with a key that is not at hand

Verifying what arrives has its own single class, `hookline.receiver.VerificationError`.
"""

from typing import Any

from hookline._said import Said

__all__ = [
    "AlreadyExists",
    "ApiKeyNotFound",
    "ApplicationNotFound",
    "AttemptNotFound",
    "BlockedDestination",
    "DeliveryTimeout",
    "EndpointDisabled",
    "EndpointNotFound",
    "EventTypeNotFound",
    "HooklineError",
    "IdempotencyConflict",
    "ImportInterrupted",
    "InvalidApiKey",
    "InvalidExpression",
    "InvalidHeader",
    "InvalidInput",
    "InvalidPayload",
    "InvalidSecret",
    "InvalidSettings",
    "InvalidUrl",
    "InvalidWebhooksFile",
    "JobNotFound",
    "MessageNotFound",
    "PayloadTooLarge",
    "PlanOutdated",
    "SecretsLocked",
    "SessionMismatch",
    "StorageError",
    "UnknownEventType",
]


class HooklineError(Exception):
    """The base of every exception Hookline raises."""


class InvalidInput(HooklineError, ValueError):
    """What came in cannot be used. Nothing was written."""


class InvalidUrl(InvalidInput):
    """The URL of an endpoint is malformed or not allowed."""


class BlockedDestination(InvalidUrl):
    """Nothing may be sent to this URL. `verdict` is the guard's, with its `code` and `reason`.

    The message is the operator's: it names the network. Tell a customer `blocked_destination`.
    """

    def __init__(self, message: str, verdict: tuple[str, str]) -> None:
        """Keep the verdict beside the message."""
        super().__init__(message)
        self.verdict = verdict

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with both parts, as `concurrent.futures` needs it."""
        return type(self), (self.args[0], self.verdict)


class InvalidHeader(InvalidInput):
    """A header of an endpoint is malformed or not allowed."""


class InvalidSecret(InvalidInput):
    """A signing secret is malformed, missing, or of a kind that cannot be used here."""


class InvalidExpression(InvalidInput):
    """A filter or a transformation is malformed. `position` is where, from 1; None for all of it.

    `reason` is the message without the option's name and the position.
    """

    def __init__(self, reason: str, position: int | None = None, name: str = "expression") -> None:
        """Make the message of all three."""
        super().__init__(
            Said("{name}: {reason}", name=name, reason=reason)
            if position is None
            else Said(
                "{name}: position {position}: {reason}", name=name, position=position, reason=reason
            )
        )
        self.reason, self.position, self.name = reason, position, name

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with all parts, as `concurrent.futures` needs it."""
        return type(self), (self.reason, self.position, self.name)


class InvalidPayload(InvalidInput):
    """`data` or `metadata` holds what JSON cannot carry, or the event's model does not allow.

    The message has the path of the value.
    """


class PayloadTooLarge(InvalidPayload):
    """The serialised body is larger than `Settings.payload_limit`."""


class UnknownEventType(InvalidInput):
    """The event type is not in the catalogue this `Webhooks` was given."""


class InvalidSettings(HooklineError, ValueError):
    """A setting has an unusable value; the message says where it came from."""


class InvalidWebhooksFile(HooklineError, ValueError):
    """`webhooks.json` cannot be used; the message has file, position and reason."""


class IdempotencyConflict(HooklineError):
    """The idempotency key was used before, with another event."""


class AlreadyExists(HooklineError):
    """There is one with that uid or name already; the message has which."""


class ApplicationNotFound(HooklineError, LookupError):
    """There is no application with that id or uid."""


class EventTypeNotFound(HooklineError, LookupError):
    """There is no event type with that name."""


class AttemptNotFound(HooklineError, LookupError):
    """There is no attempt with that id, or it is gone by retention."""


class EndpointNotFound(HooklineError, LookupError):
    """There is no endpoint with that id or URL."""


class EndpointDisabled(HooklineError):
    """The endpoint is disabled, or pending: enable or verify it first."""


class MessageNotFound(HooklineError, LookupError):
    """There is no message with that id; its time in the database may be over."""


class JobNotFound(HooklineError, LookupError):
    """There is no replay with that id."""


class ApiKeyNotFound(HooklineError, LookupError):
    """There is no API key with that id."""


class PlanOutdated(HooklineError):
    """What the plan was made for has changed since. Nothing was written: plan again."""


class ImportInterrupted(HooklineError):
    """A change of a plan failed. `done` changes before it were made; importing again goes on."""

    def __init__(self, message: str, done: int) -> None:
        """Keep the count beside the message."""
        super().__init__(message)
        self.done = done

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with both parts."""
        return type(self), (str(self), self.done)


class InvalidApiKey(HooklineError):
    """The token of an API key opens nothing. The message is the operator's: it has the reason."""


class SessionMismatch(HooklineError):
    """What was handed in as session or connection cannot hold the event.

    It is on another database than Hookline, has no transaction open, or is something else. The
    message says which.
    """


class DeliveryTimeout(HooklineError, TimeoutError):
    """Not every delivery was final, or a replay not finished in time. They go on."""


class StorageError(HooklineError):
    """The database refused, or is out of reach. What was asked for did not happen."""


class SecretsLocked(StorageError):
    """Secrets in the database do not open with `Settings.encryption_key`; the message says why."""
