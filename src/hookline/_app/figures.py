"""Figures: what the log amounts to, minute by minute, for those who look at curves."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from hookline._app.scope import Scope
from hookline._domain import check, ids
from hookline._domain.endpoint import Endpoint
from hookline._domain.tally import SPANS, STEPS, Kind, Series, series, step_of
from hookline._said import Said
from hookline.errors import InvalidInput

DAY = timedelta(days=1)
MOST_POINTS = 2000


class Figures(Scope):
    """The figures of one application."""

    async def figures(
        self,
        endpoint: str | Endpoint | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        step: int | None = None,
    ) -> Series:
        """Return how attempts ended, of an endpoint or of all, from `since` (a day ago) to now.

        In points of `step` seconds, about 120 of them by default; never finer than a minute, for
        single endpoints five, and an hour for what is older than two days. What was counted in
        the last seconds may be missing. Raises EndpointNotFound or InvalidInput.
        """
        kind, subject = Kind.APPLICATION, None
        if endpoint is not None:
            kind, subject = Kind.ENDPOINT, await self._endpoint_key(endpoint)
        start, end, step = self._range(kind, since, until, step)
        rows = await self._ask(
            lambda e, app: e.store.tallies.read(kind, subject or app, start, end, step)
        )
        return series(start, end, step, rows)

    async def figures_of_each(
        self,
        endpoints: Iterable[Endpoint],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        step: int | None = None,
        latencies: bool = True,
    ) -> dict[str, Series]:
        """Return the same for several endpoints, by id: one question for all of them.

        Without `latencies` nothing is known of how long answers took, and it costs half as much.
        """
        keys = {e.id or "": ids.decode(ids.ENDPOINT, e.id or "") or b"" for e in endpoints}
        start, end, step = self._range(Kind.ENDPOINT, since, until, step)
        found = await self._ask(
            lambda e, _: e.store.tallies.read_each(
                Kind.ENDPOINT, keys.values(), start, end, step, latencies=latencies
            )
        )
        return {name: series(start, end, step, found.get(key, ())) for name, key in keys.items()}

    def _range(
        self, kind: Kind, since: datetime | None, until: datetime | None, step: int | None
    ) -> tuple[int, int, int]:
        now = self._runtime.clock.now()
        end = now if until is None else check.milliseconds("until", until)
        day = round(DAY.total_seconds() * 1000)
        start = end - day if since is None else check.milliseconds("since", since)
        if start >= end:
            raise InvalidInput(
                Said("until: {until} is not after since, {since}", until=until, since=since)
            )
        seconds = -(-(end - start) // 1000)
        step = max(SPANS[kind], step_of(seconds)) if step is None else step
        if step not in STEPS or step < SPANS[kind] or seconds > step * MOST_POINTS:
            known = ", ".join(str(each) for each in STEPS if each >= SPANS[kind])
            raise InvalidInput(
                f"step: expected one of {known} seconds that makes {MOST_POINTS:,} points at most"
            )
        return start // 1000, -(-end // 1000), step
