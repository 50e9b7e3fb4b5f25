"""The first page: how deliveries go, over all applications or in one."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from starlette.responses import Response

from hookline._domain.backlog import MOST_COUNTED
from hookline._web.dashboard.routes import get
from hookline._web.dashboard.view import View

RANGES = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
QUANTILES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
MOST_TROUBLED = 50


async def _look(view: View) -> dict[str, Any]:
    webhooks, name = view.webhooks, view.app_name
    chosen = view.query("range")
    chosen = chosen if chosen in RANGES else "1h"
    now = datetime.fromtimestamp(webhooks._runtime.clock.now() / 1000).astimezone()  # noqa: SLF001
    since = now - RANGES[chosen]
    if name is None:
        figures, info = await webhooks.all_figures(since=since), None
    else:
        figures = await (await view.app()).figures(since=since)
        info = await webhooks.applications.get(name)
    backlog = await webhooks.overview.backlog(name)
    troubled = await webhooks.overview.troubled(MOST_TROUBLED, name)
    total = figures.total
    minutes = RANGES[chosen].total_seconds() / 60
    return {
        "ranges": RANGES,
        "chosen": chosen,
        "since": since,
        "figures": figures,
        "total": total,
        "per_minute": total.attempts / minutes,
        "quantiles": [(name, total.quantile(q)) for q, name in QUANTILES],
        "curves": [(name, [each.quantile(q) for each in figures.tallies]) for q, name in QUANTILES],
        "backlog": backlog,
        "capped": max(backlog.due, backlog.unrouted) >= MOST_COUNTED,
        "troubled": troubled,
        "failing": sum(each.disabled_at is None for each in troubled),
        "most": MOST_TROUBLED,
        "info": info,
    }


async def show(view: View) -> Response:
    """Show figures, what waits, and what is in trouble."""
    return await view.live_page("overview.html", partial(_look, view))


PAGES = (get("/", show), get("/apps/{app}", show))
