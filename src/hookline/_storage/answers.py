"""Answers to requests that may be sent again: their rows. SQLAlchemy Core, once for all."""

from typing import Any

import sqlalchemy as sa

from hookline._ports import Claim
from hookline._storage.part import Part
from hookline._storage.schema import answer


class SqlAnswers(Part):
    """`_ports.Answers`."""

    async def claim(
        self,
        name: bytes,
        digest: bytes,
        resource: bytes,
        lease: int,
        now: int,
        until: int,
        end: int,
    ) -> Claim:
        """Claim a request, or return what became of it."""
        new = {
            "digest": digest,
            "resource": resource,
            "lease": lease,
            "lease_until": until,
            "status": None,
            "body": None,
            "expires_at": end,
        }
        mine = answer.c.id == name
        async with self._writing() as connection:
            insert = self._insert(answer).on_conflict_do_nothing()
            if (await connection.execute(insert, {"id": name, **new})).rowcount:
                return Claim(resource, mine=True)
            query = sa.select(answer).where(mine).with_for_update()
            row = (await connection.execute(query)).first()
            if row is None or row.expires_at <= now:  # (pruned in between)
                again = self._insert(answer).on_conflict_do_update(index_elements=["id"], set_=new)
                await connection.execute(again, {"id": name, **new})
                return Claim(resource, mine=True)
            if row.digest != digest:
                return Claim(row.resource, same=False)
            if row.status is None and row.lease_until <= now:
                change = answer.update().where(mine).values(lease=lease, lease_until=until)
                await connection.execute(change)
                return Claim(row.resource, mine=True)
            return Claim(row.resource, status=row.status, body=row.body)

    async def keep(self, name: bytes, lease: int, status: int, body: bytes | None) -> bool:
        """Store what was answered; False when the lease was lost."""
        return await self._change(name, lease, {"status": status, "body": body})

    async def give_back(self, name: bytes, lease: int, now: int) -> bool:
        """Leave a request whose outcome is not known to whoever sends it again."""
        return await self._change(name, lease, {"lease_until": now})

    async def _change(self, name: bytes, lease: int, values: dict[str, Any]) -> bool:
        async with self._writing() as connection:
            change = answer.update().where(*_leased(name, lease)).values(**values)
            return bool((await connection.execute(change)).rowcount)

    async def forget(self, name: bytes, lease: int) -> None:
        """Forget a request that was refused: sent again, it is judged anew."""
        async with self._writing() as connection:
            await connection.execute(answer.delete().where(*_leased(name, lease)))

    async def prune(self, now: int) -> None:
        """Remove what has expired, in small batches."""
        await self._prune(answer, answer.c.expires_at <= now)


def _leased(name: bytes, lease: int) -> tuple[sa.ColumnElement[bool], ...]:
    return answer.c.id == name, answer.c.lease == lease, answer.c.status.is_(None)
