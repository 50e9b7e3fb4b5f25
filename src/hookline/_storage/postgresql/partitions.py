"""The log's day partitions: made ahead of time, dropped when their time is over.

Dropping a day costs nothing; deleting a million rows takes seconds and gives no space back.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

TABLE = "hookline_attempt"
REST = f"{TABLE}_rest"
AHEAD = 3
"""Days that exist beforehand, so that a stopped upkeep is noticed long before it matters."""
_PARTITIONS = sa.text(
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "WHERE i.inhparent = CAST(:parent AS regclass)"
)


def _name(day: datetime) -> str:
    return f"{TABLE}_{day:%Y%m%d}"


def _bound(day: datetime) -> UUID:
    """Return the smallest key of a day: keys begin with their milliseconds."""
    return UUID(int=round(day.timestamp() * 1000) << 80)


def _existing(connection: sa.Connection) -> set[str]:
    return set(connection.execute(_PARTITIONS, {"parent": TABLE}).scalars())


def make(connection: sa.Connection, now: int) -> None:
    """Make the partitions of today and the next days that are missing."""
    today = datetime.fromtimestamp(now / 1000, UTC).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    existing = _existing(connection)
    for ahead in range(AHEAD + 1):
        day = today + timedelta(days=ahead)
        if _name(day) not in existing and not _in_rest(connection, day):
            connection.exec_driver_sql(
                f"CREATE TABLE {_name(day)} PARTITION OF {TABLE} "
                f"FOR VALUES FROM ('{_bound(day)}') TO ('{_bound(day + timedelta(days=1))}')"
            )


def _in_rest(connection: sa.Connection, day: datetime) -> bool:
    """Return whether rows of the day are in the default partition: then the day stays there.

    It happens when a clock was wrong or nothing ran for days; a partition of that day could not
    be made beside them.
    """
    where = f"id >= '{_bound(day)}' AND id < '{_bound(day + timedelta(days=1))}'"
    query = f"SELECT EXISTS (SELECT 1 FROM {REST} WHERE {where})"  # noqa: S608 - our own values
    return bool(connection.exec_driver_sql(query).scalar())


def drop(connection: sa.Connection, before: int) -> int:
    """Drop the days that ended before a time (Unix ms); return how many."""
    last = f"{TABLE}_{datetime.fromtimestamp(before / 1000, UTC):%Y%m%d}"
    old = [n for n in _existing(connection) if n[len(TABLE) + 1 :].isdigit() and n < last]
    for name in old:
        connection.exec_driver_sql(f"DROP TABLE {name}")
    midnight = datetime.strptime(last[len(TABLE) + 1 :], "%Y%m%d").replace(tzinfo=UTC)
    connection.exec_driver_sql(f"DELETE FROM {REST} WHERE id < '{_bound(midnight)}'")  # noqa: S608
    return len(old)
