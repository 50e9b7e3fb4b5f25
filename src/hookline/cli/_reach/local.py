"""A deployment reached through its database: the façade, which delivers nothing unless told."""

from typing import TYPE_CHECKING

from hookline.errors import StorageError

if TYPE_CHECKING:
    from hookline import Webhooks


async def ready(webhooks: "Webhooks") -> None:
    """Raise StorageError for a database without our tables: a wrong name must not make one."""
    schema = await webhooks.schema()
    if schema.found is None:
        raise StorageError(
            "there is no Hookline in this database; name another with --database or "
            "HOOKLINE_DATABASE, or make the tables: hookline migrate"
        )


async def is_delivered(webhooks: "Webhooks") -> bool:
    """Return whether some process delivers what is in the database."""
    async with webhooks._runtime.beside() as store:  # noqa: SLF001 - one house
        return (await store.pulse()).delivering
