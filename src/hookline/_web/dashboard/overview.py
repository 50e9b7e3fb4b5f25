"""The first page: how deliveries go, over all applications or in one."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from starlette.responses import Response

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


async def _look(view: View) -> dict[str, Any]:
    webhooks = view.webhooks
    chosen = view.query("range")
    chosen = chosen if chosen in RANGES else "1h"
    now = datetime.fromtimestamp(webhooks._runtime.clock.now() / 1000).astimezone()  # noqa: SLF001
    since = now - RANGES[chosen]
    if "app" in view.request.path_params:
        app = await view.app()
        figures = await app.figures(since=since)
        info = await webhooks.applications.get(view.part("app"))
    else:
        figures, info = await webhooks.all_figures(since=since), None
    backlog = await webhooks.overview.backlog()
    troubled = await webhooks.overview.troubled(20)
    if info is not None:
        troubled = [each for each in troubled if each.application_id == info.id]
    total = figures.total
    minutes = RANGES[chosen].total_seconds() / 60
    curves = [(name, [tally.quantile(q) for tally in figures.tallies]) for q, name in QUANTILES]
    return {
        "ranges": RANGES,
        "chosen": chosen,
        "since": since,
        "figures": figures,
        "total": total,
        "per_minute": total.attempts / minutes,
        "quantiles": [(name, total.quantile(q)) for q, name in QUANTILES],
        "curves": curves,
        "backlog": backlog,
        "age": None
        if backlog.oldest is None
        else max(0, (now - backlog.oldest).total_seconds() * 1000),
        "troubled": troubled,
        "open_circuits": sum(each.circuit != "closed" for each in troubled),
        "disabled": sum(each.disabled_at is not None for each in troubled),
        "info": info,
    }


async def show(view: View) -> Response:
    """Show figures, what waits, and what is in trouble."""
    return await view.live_page("overview.html", partial(_look, view))


PAGES = (get("/", show), get("/apps/{app}", show))
