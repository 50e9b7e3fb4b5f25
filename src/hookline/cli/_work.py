"""Doing one thing with an engine that delivers nothing."""

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from hookline.cli._database import fail

if TYPE_CHECKING:
    from hookline import Webhooks

T = TypeVar("T")


def run(command: str, webhooks: "Webhooks", work: Coroutine[Any, Any, T]) -> T:
    """Return what the work gives, with the engine stopped; an error ends the command."""
    import asyncio  # noqa: PLC0415

    from hookline.errors import HooklineError, InvalidInput, InvalidSettings  # noqa: PLC0415

    async def whole() -> T:
        try:
            return await work
        finally:
            await webhooks.stop()

    try:
        return asyncio.run(whole())
    except (InvalidInput, InvalidSettings) as error:
        fail(command, error, code=2)
    except HooklineError as error:
        fail(command, error)
