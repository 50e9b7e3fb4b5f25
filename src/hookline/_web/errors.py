"""What went wrong, as the API says it: always a JSON object, `code` and `detail`.

The codes are those the official clients know. What a message of ours says about the network or the
database is the operator's: it goes to the log, and the client hears less.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic.alias_generators import to_camel

from hookline.errors import (
    AlreadyExists,
    BlockedDestination,
    DeliveryTimeout,
    EndpointDisabled,
    HooklineError,
    IdempotencyConflict,
    ImportInterrupted,
    InvalidApiKey,
    InvalidHeader,
    InvalidInput,
    PayloadTooLarge,
    PlanOutdated,
    StorageError,
)

log = logging.getLogger("hookline")

GENERIC, SERVER, CONFLICT = "generic_error", "server_error", "conflict"
UNAUTHENTICATED, FORBIDDEN = "authentication_failed", "insufficient access"
NOT_FOUND, TOO_LARGE = "not_found", "payload_too_large"
CODES = {
    400: GENERIC,
    401: UNAUTHENTICATED,
    403: FORBIDDEN,
    404: NOT_FOUND,
    405: "method_not_allowed",
    409: CONFLICT,
    413: TOO_LARGE,
    501: "not_implemented",
}
VALUE_ERROR, BAD_JSON = "value_error", "value_error.jsondecode"
RETRY_SOON = {"Retry-After": "1"}
_FIELD = re.compile(r"([A-Za-z_][\w\-.\[\]]{0,200}): (.+)", re.DOTALL)
_UNREADABLE = re.compile(r".+_parsing|enum|literal_error")


class Fault(NamedTuple):
    """One thing wrong with a request: where, what, and of which kind."""

    loc: Sequence[str]
    msg: str
    type: str = VALUE_ERROR


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(
        self,
        status: int,
        detail: str | Sequence[Fault],
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """A list of faults goes with 422; everything else has a text. `code` by default fits."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code or CODES.get(status, SERVER if status >= 500 else GENERIC)  # noqa: PLR2004
        self.headers = headers or {}

    @property
    def document(self) -> dict[str, Any]:
        """What the answer says."""
        if isinstance(self.detail, str):
            return {"code": self.code, "detail": self.detail}
        return {"detail": [fault._asdict() for fault in self.detail]}


def invalid(loc: Sequence[str], msg: str, kind: str = VALUE_ERROR) -> Refused:
    """Return the answer to a request with one thing wrong."""
    return Refused(422, [Fault(loc, msg, kind)])


def unauthenticated() -> Refused:
    """Return the answer to a key that opens nothing: the same whatever the reason."""
    return Refused(
        401,
        "this needs a valid API key: Authorization: Bearer hk_…",
        headers={"WWW-Authenticate": "Bearer"},
    )


def forbidden(needed: str) -> Refused:
    """Return the answer to a key whose scopes do not suffice."""
    return Refused(403, f"this key does not allow that; it needs {needed}")


def not_found(what: str) -> Refused:
    """Return the answer for what is not there, or not this key's to see."""
    return Refused(404, what)


def conflict(reason: str, *, retry: bool = False) -> Refused:
    """Return the answer to what is not possible as things stand, or not yet (`retry`)."""
    return Refused(409, reason, headers=RETRY_SOON if retry else None)


def too_large(limit: int) -> Refused:
    """Return the answer to a body that is too large."""
    return Refused(413, f"body: larger than {limit:,} bytes")


def of(error: HooklineError) -> Refused:
    """Return the answer to an error of the façade. The one table of them."""
    text = str(error)
    match error:
        case InvalidApiKey():
            log.debug("Refused: %s", text)
            return unauthenticated()
        case PayloadTooLarge():
            return Refused(413, text)
        case BlockedDestination():
            log.info("Refused: %s", text)
            return invalid(("body", _place(text)[-1]), "blocked_destination")
        case InvalidHeader():
            return invalid(("body", "headers"), text)
        case InvalidInput():
            place, reason = _split(text)
            return invalid(("body", *place), reason)
        case LookupError():
            return not_found(text)
        case (
            AlreadyExists()
            | IdempotencyConflict()
            | EndpointDisabled()
            | PlanOutdated()
            | ImportInterrupted()
        ):
            return conflict(text)
        case StorageError():
            log.error("Answered 503: %s", text)
            return Refused(503, "the database cannot answer now; try again", headers=RETRY_SOON)
        case DeliveryTimeout():
            return Refused(504, text)
        case _:
            return unexpected(error)


def unexpected(error: BaseException) -> Refused:
    """Return the answer to what should not have happened; the log has the rest."""
    log.error("Answered 500: %s", type(error).__name__, exc_info=error)
    return Refused(500, "this went wrong on our side; the server's log says how")


def _split(text: str) -> tuple[Sequence[str], str]:
    """Return where a message says the fault is, in the names of the API, and what it is."""
    found = _FIELD.fullmatch(text)
    if found is None:
        return (), text
    return [to_camel(part) if "_" in part else part for part in found[1].split(".")], found[2]


def _place(text: str) -> Sequence[str]:
    return _split(text)[0] or ("url",)


def of_validation(errors: Sequence[Any]) -> Refused:
    """Return the answer to a request that does not fit its model.

    What a query cannot even be read as is 400, as the official server has it. Values are not
    repeated: there may be secrets among them.
    """
    for error in errors:
        if error["loc"][0] == "query" and _UNREADABLE.fullmatch(error["type"]):
            return Refused(400, f"query: {_dotted(error['loc'][1:])}: {error['msg']}")
    return Refused(422, [_fault(error) for error in errors])


def _fault(error: Any) -> Fault:
    if error["type"] == "json_invalid":
        reason = error.get("ctx", {}).get("error", error["msg"])
        return Fault([str(part) for part in error["loc"]], reason, BAD_JSON)
    return Fault([str(part) for part in error["loc"]], error["msg"], error["type"])


def _dotted(loc: Sequence[Any]) -> str:
    return ".".join(str(part) for part in loc)
