"""What metrics and traces cost: nothing when they are off."""

import asyncio
import inspect
import statistics
import textwrap
import time
from importlib.util import find_spec
from typing import Any

from benchmarks import payload
from benchmarks.options import Options
from benchmarks.runner import LOWER, Bar, Bench, Row, judged, scenario
from hookline import Webhooks
from hookline._app import publishing
from hookline._app.publishing import Publishing

BLOCKS = 60
BLOCK = 500
"""Messages published by one contestant before it is the next one's turn."""
CALLERS = 50


QUESTION = """
    elif self._runtime.tracing:
        with self._runtime.publishing((message,)):
            key = await self._publish(message)
"""


def without_question() -> type[Webhooks]:
    """Return `Webhooks` whose `trigger` does not ask whether somebody traces: else as it is."""
    source = textwrap.dedent(inspect.getsource(Publishing.trigger))
    assert QUESTION in source, "trigger reads otherwise by now: change QUESTION"
    names = dict(vars(publishing))
    exec(source.replace(QUESTION, "\n"), names)  # noqa: S102 - our own source
    return type("WithoutQuestion", (Webhooks,), {"trigger": names["trigger"]})


@scenario("sqlite")
def telemetry_off(bench: Bench) -> list[Row]:
    """CPU for publishing with metrics and traces off, beside code that knows of neither."""
    contestants: dict[str, tuple[type[Webhooks], dict[str, Any]]] = {
        "bare": (without_question(), {}),
        "off": (Webhooks, {}),
    }
    if find_spec("prometheus_client"):
        contestants["metrics"] = (Webhooks, {"metrics": "open"})
    if find_spec("opentelemetry"):
        contestants["opentelemetry"] = (Webhooks, {"opentelemetry": True})
    spent = asyncio.run(publish(bench, contestants))
    cost = {name: statistics.median(blocks) for name, blocks in spent.items()}
    bars = {"off": ("bare", Bar(ratio=1.02, better=LOWER))}
    rows = []
    for name in list(contestants)[1:]:
        beside, bar = bars.get(name, ("off", Bar()))
        pairs = [a / b for a, b in zip(spent[name], spent[beside], strict=True)]
        rows.append(
            judged(
                Row(
                    scenario="telemetry_off",
                    part=name,
                    what=f"{len(pairs) * BLOCK:,} messages, {CALLERS} callers",
                    unit="µs of CPU",
                    figure=round(cost[name], 2),
                    reference=round(cost[beside], 2),
                    reference_what="without the question" if beside == "bare" else "all off",
                    ratio=round(statistics.median(pairs), 4),
                ),
                bar,
            )
        )
    return rows


async def publish(
    bench: Bench, contestants: dict[str, tuple[type[Webhooks], dict[str, Any]]]
) -> dict[str, list[float]]:
    """Publish in turns, in one process; return µs of its CPU per message, block by block."""
    options = Options().settings({"deliver": False})
    made = {
        name: kind(database=f"sqlite:///{bench.folder}/telemetry-{name}.db", **options, **settings)
        for name, (kind, settings) in contestants.items()
    }
    spent: dict[str, list[float]] = {name: [] for name in made}
    data = {"id": "123", "name": "张三", "tags": ["a", "b"], "total": 12.5}
    try:
        for n in range(bench.n(BLOCKS, 4) + 2):
            bench.say(f"{n} of {BLOCKS}")
            # Each goes first as often as the others.
            names = list(made)[n % len(made) :] + list(made)[: n % len(made)]
            for name in names:
                began = time.process_time()
                await _block(made[name], data)
                if n > 1:
                    spent[name].append((time.process_time() - began) / BLOCK * 1e6)
    finally:
        for webhooks in made.values():
            await webhooks.stop()
    return spent


async def _block(webhooks: Webhooks, data: dict[str, Any]) -> None:
    async def caller() -> None:
        for _ in range(BLOCK // CALLERS):
            await webhooks.trigger(payload.EVENT, data)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
