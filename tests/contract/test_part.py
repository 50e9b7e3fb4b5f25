"""Removing what has served its time: never many rows in one transaction, and all in the end."""

from collections import Counter

import pytest
import sqlalchemy as sa

from hookline._domain.tally import Tally
from hookline._engine.keys import new_key
from hookline._storage import part
from hookline._storage.schema import answer, audit, idempotency, job, tally

DAY = 24 * 3_600_000
ROWS, AT_ONCE = 10, 4


@pytest.fixture
def removed(monkeypatch):
    """Make batches small, and return how many rows each transaction removed, by table."""
    sizes = Counter()
    largest = Counter()

    def count(_connection, _cursor, statement, _parameters, context, _many):
        if not context.isdelete:
            return
        name = statement.split()[2]  # DELETE FROM …
        sizes[name] += context.rowcount
        largest[name] = max(largest[name], context.rowcount)

    monkeypatch.setattr(part, "PRUNED", AT_ONCE)
    sa.event.listen(sa.Engine, "after_cursor_execute", count)
    yield sizes, largest
    sa.event.remove(sa.Engine, "after_cursor_execute", count)


def rows(b, table):
    """Return rows of a table that a later upkeep removes."""
    keys = [new_key(b.now) for _ in range(ROWS)]
    if table is answer:
        same = {"digest": b"d" * 32, "resource": b"r" * 16, "lease": 1, "lease_until": 0}
        return [{"id": key, **same, "expires_at": b.now} for key in keys]
    if table is idempotency:
        same = {"app_id": b.app, "digest": b"d" * 32, "expires_at": b.now}
        return [{**same, "key": key.hex(), "message_id": key} for key in keys]
    if table is audit:
        same = {
            "actor": "cli",
            "actor_id": "",
            "actor_name": "",
            "action": "message.erased",
            "target": "msg",
            "fields": [],
        }
        return [{"id": key, **same} for key in keys]
    same = dict.fromkeys(("after_first", "after_second"), bytes(16))
    times = {"created_at": b.now, "updated_at": b.now, "next_step_at": b.now}
    rest = {"task": "replay", "state": "finished", "selection": {}, "counted": True, "walk": 0}
    numbers = {"total": 0, "done": 0, "lease": 0, "app_id": b.app}
    return [{"id": key, **same, **times, **rest, **numbers} for key in keys]


@pytest.mark.parametrize("table", [answer, idempotency, audit, job], ids=str)
async def test_old_rows_go_in_small_batches(database, removed, table):
    """However many there are, a transaction removes so many at most; sending goes on meanwhile."""
    database.change(retention_audit=30)
    async with database.bench() as b:
        async with b.store._writing() as connection:
            await connection.execute(table.insert(), rows(b, table))
        await b.store.prune(b.now + 31 * DAY)
        sizes, largest = removed
        assert (sizes[table.name], largest[table.name]) == (ROWS, AT_ONCE)
        async with b.store._reading() as connection:
            assert not (await connection.execute(sa.select(table))).all()


async def test_old_tallies_go_in_small_batches(database, removed):
    """They are as many as endpoints times hours."""
    async with database.bench() as b:
        minute = b.now // 60_000 * 60
        counted = {(bytes([n]) * 16, minute): Tally(1) for n in range(1, ROWS)}
        await b.store.tallies.add(counted)
        await b.store.tallies.prune(b.now + DAY, DAY // 2)  # too young for hours, but not for this
        sizes, largest = removed
        assert (sizes[tally.name], largest[tally.name]) == (ROWS, AT_ONCE), "each, and all together"
