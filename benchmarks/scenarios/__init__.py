"""The scenarios, one module per group, in the order they are played."""

from benchmarks.scenarios import (
    cold,
    compare,
    fairness,
    latency,
    memory,
    pages,
    publishing,
    rest,
    telemetry,
    throughput,
)

SCENARIOS = {
    one.name: one
    for one in (
        throughput.end_to_end,
        throughput.end_to_end_500,
        throughput.two_workers,
        throughput.fan_out,
        latency.idle_latency,
        publishing.publish_64,
        telemetry.telemetry_off,
        cold.cold_import,
        rest.rest_api,
        fairness.dead_endpoint,
        fairness.hanging,
        fairness.history,
        pages.pages,
        memory.memory,
        compare.compare_celery,
        compare.compare_httpx,
    )
}
