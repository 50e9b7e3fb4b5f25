"""The endpoints a replay may send to, read again when one of them changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._domain import ids
from hookline._domain.endpoint import Target
from hookline._engine.route import RoutingTable, Subscriber
from hookline._storage.rows import START
from hookline._storage.schema import application, endpoint, handshake

MOST_CACHED = 1000
"""Applications whose endpoints are kept in memory."""
_PENDING = sa.select(handshake.c.endpoint_id).where(handshake.c.endpoint_id == endpoint.c.id)
SENT_TO = sa.and_(endpoint.c.disabled_at.is_(None), ~_PENDING.exists())
"""Of an endpoint: it is neither disabled nor pending."""


@dataclass(slots=True)
class Audience:
    """The enabled endpoints a replay may send to. `refusal` says why there is none."""

    table: RoutingTable
    targets: dict[bytes, Target]
    keys: list[bytes]
    refusal: str | None = None


class Audiences:
    """The endpoints of applications, read again when one of them changed."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._known: dict[bytes, Audience] = {}

    async def of(
        self, connection: AsyncConnection, app: bytes, endpoint_id: str | None
    ) -> Audience:
        """Return the one endpoint that is named, or all of the application."""
        if endpoint_id is not None:
            key = ids.decode(ids.ENDPOINT, endpoint_id) or START
            found = await _endpoints(connection, endpoint.c.id == key)
            rows = [row for row in found if row.app_id == app]
            return _audience(0, rows, _refusal(endpoint_id, rows))
        revision = await connection.scalar(
            sa.select(application.c.revision).where(application.c.id == app)
        )
        known = self._known.get(app)
        if known is None or known.table.revision != revision:
            everyone = await _endpoints(connection, endpoint.c.app_id == app)
            known = _audience(revision or 0, everyone, None)
            if len(self._known) >= MOST_CACHED:
                self._known.clear()
            self._known[app] = known
        return known


async def _endpoints(connection: AsyncConnection, *which: sa.ColumnElement[bool]) -> Sequence[Any]:
    columns = endpoint.c
    found = await connection.execute(
        sa.select(
            columns.id,
            columns.app_id,
            columns.url,
            columns.events,
            columns.ordered,
            columns.options,
            columns.revision,
            columns.disabled_at,
            columns.disabled_reason,
            _PENDING.exists().label("pending"),
        )
        .where(*which)
        .order_by(columns.id)
    )
    return found.all()


def _audience(revision: int, rows: Iterable[Any], refusal: str | None) -> Audience:
    enabled = [row for row in rows if row.disabled_at is None and not row.pending]
    targets = {
        row.id: Target(
            row.id,
            row.revision,
            row.url,
            ordered=row.ordered,
            filter=row.options.get("filter"),
        )
        for row in enabled
    }
    subscribers = [
        Subscriber(row.events, row.options.get("channels", ()), targets[row.id]) for row in enabled
    ]
    table = RoutingTable(revision, subscribers)
    return Audience(table, targets, list(targets), refusal)


def _refusal(endpoint_id: str, rows: Sequence[Any]) -> str | None:
    if not rows:
        return f"endpoint {endpoint_id} does not exist any more"
    if rows[0].disabled_at is not None:
        why = rows[0].disabled_reason or "disabled"
        return f"endpoint {endpoint_id} is disabled ({why}); enable it, then replay again"
    if rows[0].pending:
        return f"endpoint {endpoint_id} is pending; verify it, then replay again"
    return None
