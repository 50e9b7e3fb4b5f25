"""Answers in JSON, by orjson: models as they are, raw bytes of payloads inside untouched."""

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.responses import Response

from hookline._web.errors import Refused

JSON = b"application/json"
NO_STORE = {"Cache-Control": "no-store"}
"""For answers that hold a secret: no cache keeps them, ours included."""


def encoded(document: Any) -> bytes:
    """Return a document as JSON: models, lists, dicts, and `orjson.Fragment` for raw bytes."""
    return orjson.dumps(document, _plain)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True, exclude_none=True)
    raise TypeError(f"{type(value).__name__} is no part of an answer")


class Answer(Response):
    """An answer in JSON."""

    media_type = "application/json"

    def __init__(
        self, document: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Take what `encoded` takes, or bytes that are JSON already."""
        body = document if isinstance(document, bytes) else encoded(document)
        if headers is not None:
            super().__init__(body, status, headers)
            return
        # As Response does it, without looking for headers that are not there.
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [
            (b"content-length", str(len(body)).encode()),
            (b"content-type", JSON),
        ]


def refusal(refused: Refused) -> Answer:
    """Return an error as an answer."""
    return Answer(refused.document, refused.status, refused.headers or None)
