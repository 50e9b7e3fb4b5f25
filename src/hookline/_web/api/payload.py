"""What a message is to say, byte for byte, out of the request that publishes it."""

from typing import Any

from hookline._web import errors
from hookline._web.api.models.messages import MessageIn
from hookline._web.bodies import raw_member

RAW = "rawPayload"


def payload_of(body: bytes, document: Any, message: MessageIn) -> bytes:
    """Return the bytes of the payload as they were sent; `document` is what the body was parsed to.

    Clients have three names for it: `payload`, `data`, and a text in `transformationsParams`.
    Raises Refused (422) where it is not clear which.
    """
    params: dict[str, Any] = message.transformations_params or {}
    if RAW in params:
        raw = params[RAW]
        where = ("body", "transformationsParams", RAW)
        if not isinstance(raw, str):
            raise errors.invalid(where, "expected text")
        if message.payload:
            raise errors.invalid(where, "with a payload beside it: which of the two is meant?")
        return raw.encode()
    found = raw_member(body, "payload", document)
    return found if found is not None else raw_member(body, "data", document) or b"{}"
