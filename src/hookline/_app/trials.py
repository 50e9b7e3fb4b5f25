"""Trying a filter or a transformation before it counts."""

import asyncio
from collections.abc import Mapping
from typing import Any

from hookline._app.history import History
from hookline._domain.expression import Trial, try_filter, try_transform

Example = Mapping[str, Any] | bytes | str
"""The body of an event; or the id of a message, whose body it is."""


class Trials(History):
    """What an application's expressions would make of its events."""

    async def try_filter(self, expression: str, example: Example) -> Trial:
        """Return what the filter of an endpoint makes of an example: the body of an event.

        Text is the id of a message. Nothing is sent or stored. Raises InvalidExpression, with the
        position, for what `register` refuses, InvalidInput for an example that is not JSON, and
        MessageNotFound.
        """
        return await asyncio.to_thread(try_filter, expression, await self._body(example))

    async def try_transform(self, expression: str, example: Example) -> Trial:
        """Return what the transformation of an endpoint makes of an example, as `try_filter`."""
        limit = self._runtime.settings.payload_limit
        body = await self._body(example)
        return await asyncio.to_thread(try_transform, expression, body, limit)

    async def _body(self, example: Example) -> Mapping[str, Any] | bytes:
        if not isinstance(example, str):
            return example
        return (await self.message(example)).body
