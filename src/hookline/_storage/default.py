"""The application that events belong to when nobody says otherwise."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hookline._engine.keys import new_key
from hookline._storage.schema import application
from hookline.errors import StorageError

DEFAULT_APPLICATION = "default"


def ensure(connection: sa.Connection, now: int) -> bytes:
    """Return its key; make it when there is none."""
    find = sa.select(application.c.id).where(application.c.uid == DEFAULT_APPLICATION)
    key: bytes | None = connection.scalar(find)
    if key is not None:
        return key
    row = {
        "id": new_key(now),
        "uid": DEFAULT_APPLICATION,
        "name": "Default",
        "metadata": {},
        "revision": 0,
        "created_at": now,
        "updated_at": now,
    }
    insert: type[postgresql.Insert | sqlite.Insert] = (
        postgresql.Insert if connection.dialect.name == "postgresql" else sqlite.Insert
    )
    connection.execute(insert(application).on_conflict_do_nothing(), row)
    made: bytes | None = connection.scalar(find)
    if made is None:
        raise StorageError("the default application could not be made")
    return made
