"""Alembic's environment: run by `hookline._storage.migrate` with a connection in hand."""

from alembic import context

from hookline._storage.schema import PREFIX, VERSION_TABLE, metadata


def _ours(_object: object, name: str | None, type_: str, *_: object) -> bool:
    """Look at our own tables only: the rest of the database is the application's.

    The day partitions of the log come and go by themselves.
    """
    name = name or ""
    partition = name.startswith(f"{PREFIX}attempt_")
    return type_ != "table" or (name.startswith(PREFIX) and not partition)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    include_object=_ours,
)
with context.begin_transaction():
    context.run_migrations()
