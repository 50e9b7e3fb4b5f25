"""Metrics and traces of real deliveries: what is scraped, exported, and sent to receivers."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest
import yaml
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.test_cli_serve import Serving
from tests.integration.test_cli_worker import PATIENCE, Command
from tools import promtool

from hookline import JsonFormatter, Webhooks
from hookline._domain.backlog import Backlog
from hookline.errors import InvalidSettings

ROOT = Path(__file__).parents[2]
SECRET = "your-secret-key"
SPANS, POINTS = InMemorySpanExporter(), InMemoryMetricReader()


def samples(text):
    """Return the values of a scrape by name and labels, as Prometheus reads it."""
    if isinstance(text, bytes):
        text = text.decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in found, f"{key} twice in one scrape"
            found[key] = sample.value
    return found


async def scrape(webhooks):
    return samples(await asyncio.to_thread(webhooks.metrics))


@pytest.fixture(scope="session")
def providers():
    """The process's OpenTelemetry SDK: it can be set once only."""
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(SPANS))
    trace.set_tracer_provider(tracing)
    metrics.set_meter_provider(MeterProvider([POINTS]))


@pytest.fixture
def spans(providers):
    """Spans that ended since the test began, by name."""
    SPANS.clear()

    def named(name):
        return [span for span in SPANS.get_finished_spans() if span.name == name]

    return named


def answers(receiver, *statuses):
    for status in statuses:
        receiver.answer(status, times=1)


async def busy(make_webhooks, receiver, told, **options):
    """Return webhooks after a success, a retry that succeeds, and one that was given up."""
    webhooks = make_webhooks(metrics="open", retry_schedule=(0, 0.01), **options)
    answers(receiver, 200, 500, 200, 404, 404)
    webhooks.register(receiver.url, ["*"], SECRET)
    for n in range(3):
        receipt = await webhooks.trigger("order.paid", {"n": n})
        await receipt.delivered(10)
    await told.wait("Giving up on")
    return webhooks


async def test_a_scrape_tells_what_was_done(make_webhooks, receiver, told):
    found = await scrape(await busy(make_webhooks, receiver, told))
    assert found["hookline_messages_routed_total",] == 3
    assert found["hookline_deliveries_routed_total",] == 3
    assert found["hookline_attempts_total", ("outcome", "success")] == 2
    assert found["hookline_attempts_total", ("outcome", "status_5xx")] == 1
    assert found["hookline_attempts_total", ("outcome", "status_4xx")] == 2
    assert found["hookline_retries_total",] == 2
    assert found["hookline_deliveries_ended_total", ("state", "succeeded")] == 2
    assert found["hookline_deliveries_ended_total", ("state", "exhausted")] == 1
    assert found["hookline_attempt_duration_seconds_count", ("result", "failure")] == 3
    assert 0 < found["hookline_attempt_duration_seconds_sum", ("result", "success")] < 10
    assert found["hookline_in_flight",] == 0
    assert found["hookline_database_up",] == found["hookline_workers",] == 1
    assert found["hookline_endpoints", ("state", "enabled")] == 1


async def test_no_label_is_chosen_by_a_customer(make_webhooks, receiver, told):
    found = await scrape(await busy(make_webhooks, receiver, told))
    ours = [key for key in found if key[0].startswith("hookline_")]
    assert {label for _, *labels in ours for label, _ in labels} == {
        "le",
        "outcome",
        "result",
        "state",
    }
    assert len(ours) < 150


async def test_the_applications_own_registry(make_webhooks, receiver):
    registry = CollectorRegistry()
    webhooks = make_webhooks(metrics=registry)
    assert ("hookline_database_up",) not in samples(generate_latest(registry)), "nothing runs yet"
    webhooks.register(receiver.url, ["*"], SECRET)
    receipt = await webhooks.trigger("a.b", {})
    await receipt.delivered(10)
    # As an asynchronous application's handler would, on its own loop.
    assert samples(generate_latest(registry))["hookline_database_up",] == 1
    with pytest.raises(InvalidSettings, match="another Webhooks counts in this registry"):
        make_webhooks(metrics=registry)


def test_off_is_said(make_webhooks):
    with pytest.raises(InvalidSettings, match="HOOKLINE_METRICS"):
        make_webhooks().metrics()
    with pytest.raises(InvalidSettings, match="'sometimes' is not one of off, key, open"):
        make_webhooks(metrics="sometimes")
    with pytest.raises(InvalidSettings, match="send_traceparent"):
        make_webhooks(send_traceparent=True)


async def test_what_waits(make_webhooks, clock, receiver):
    webhooks = make_webhooks(deliver=False, clock=clock)
    webhooks.register(receiver.url, ["*"], SECRET)
    await webhooks.trigger("a.b", {})
    await webhooks.trigger("a.b", {})
    clock.advance(90)
    found = await webhooks.backlog()
    assert found == Backlog(
        unrouted=2, oldest_due_ms=90_000, endpoints=1, disabled_endpoints=0, workers=0
    )


async def test_what_waits_behind_an_open_circuit_is_not_late(
    make_webhooks, clock, receiver, told, eventually
):
    webhooks = make_webhooks(clock=clock, retry_schedule=(0, 1000))
    receiver.answer(500)
    webhooks.register(receiver.url, ["*"], SECRET)
    for _ in range(12):
        await webhooks.trigger("a.b", {})
    await told.wait("Error sending webhook", 10)
    await webhooks.stop()
    clock.advance(5000)
    looking = make_webhooks(clock=clock, deliver=False)
    found = await looking.backlog()
    assert found.open_circuits == 1
    assert found.due == 12
    assert found.oldest_due_ms == 0


# traces ------------------------------------------------------------------------------------------


async def test_publish_route_and_attempts(make_webhooks, receiver, spans, told):
    webhooks = make_webhooks(opentelemetry=True, retry_schedule=(0, 0.01))
    answers(receiver, 500, 200)
    webhooks.register(receiver.url + "/secret-path", ["*"], SECRET)
    with trace.get_tracer("test").start_as_current_span("request") as request:
        receipt = await webhooks.trigger("order.paid", {})
    await receipt.delivered(10)
    await webhooks.stop()
    [published], [routed], attempts = spans("publish"), spans("route"), spans("POST")
    assert published.parent.span_id == request.get_span_context().span_id
    assert published.attributes["messaging.message.id"] == receipt.message_id
    assert routed.parent.span_id == published.context.span_id
    assert [a.attributes["http.response.status_code"] for a in attempts] == [500, 200]
    assert [a.attributes["http.request.resend_count"] for a in attempts] == [0, 1]
    assert [a.status.is_ok for a in attempts] == [False, True]
    for attempt in attempts:  # the retry too, which was claimed from the database
        assert [link.context.span_id for link in attempt.links] == [published.context.span_id]
        assert attempt.parent is None
        assert 0 < attempt.end_time - attempt.start_time < 10**10
        assert "secret-path" not in str(attempt.attributes)
    assert all("traceparent" not in r.headers for r in receiver.received)


async def test_receivers_are_told_the_attempts_span_when_asked(make_webhooks, receiver, spans):
    webhooks = make_webhooks(opentelemetry=True, send_traceparent=True)
    webhooks.register(receiver.url, ["*"], SECRET)
    await (await webhooks.trigger("a.b", {})).delivered(10)
    await webhooks.stop()
    [attempt] = spans("POST")
    [received] = receiver.received
    assert received.verified
    expected = f"00-{attempt.context.trace_id:032x}-{attempt.context.span_id:016x}-"
    assert received.headers["traceparent"].startswith(expected)


async def exported():
    """Return what OpenTelemetry exports: the points of each metric, by name."""
    data = await asyncio.to_thread(POINTS.get_metrics_data)
    return {
        m.name: m.data.data_points
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for m in scope.metrics
    }


def counted(points):
    """Return the sums by name and attributes."""
    return {
        (name, *sorted(point.attributes.items())): getattr(point, "value", None) or point.count
        for name, all_ in points.items()
        for point in all_
        if hasattr(point, "count") or point.value
    }


async def test_figures_over_opentelemetry(make_webhooks, receiver, spans):
    webhooks = make_webhooks(opentelemetry=True)
    webhooks.register(receiver.url, ["*"], SECRET)
    await (await webhooks.trigger("a.b", {})).delivered(10)
    found = await exported()
    outcomes = {p.attributes["outcome"]: p.value for p in found["hookline.attempts"]}
    assert outcomes["success"] >= 1
    assert any(p.value == 1 for p in found["hookline.workers"])
    assert "hookline.oldest_due_age" in found


def plain(name):
    """Return a metric's name as both ways of export have it in common."""
    return re.sub(r"(_seconds)?(_total|_created|_bucket|_sum|_count)?$", "", name.replace(".", "_"))


async def test_both_ways_of_export_tell_the_same(make_webhooks, receiver, told, spans):
    """Every metric of Prometheus is one of OpenTelemetry, with the same labels and counts."""
    before = counted(await exported())
    webhooks = await busy(make_webhooks, receiver, told, opentelemetry=True)
    prometheus, _, meters = webhooks._telemetry.observers
    for observer in prometheus, meters:  # what takes hours or accidents to happen
        observer.lost(None)
        observer.failing(None, 1)
        observer.disabled(None, "")
        observer.unfiltered(b"", None, "")
        observer.trouble("", ValueError())
    scraped = await scrape(webhooks)
    after = await exported()
    ours = {plain(key[0]) for key in scraped if key[0].startswith("hookline_")}
    assert ours == {plain(name) for name in after}
    totals = {
        (plain(key[0]), *key[1:]): value
        for key, value in scraped.items()
        if key[0].startswith("hookline_") and key[0].endswith("_total") and value
    }
    assert totals
    now = {(plain(key[0]), *key[1:]): value for key, value in counted(after).items()}
    base = {(plain(key[0]), *key[1:]): value for key, value in before.items()}
    for key, value in totals.items():
        assert now[key] - base.get(key, 0) == value, key
    states = {p.attributes["state"]: p.value for p in after["hookline.endpoints"]}
    assert states == {"enabled": 1, "disabled": 0}
    assert [p.value for p in after["hookline.database_up"]] == [1]


async def test_nothing_is_stored_without_a_span(make_webhooks, receiver, database_file):
    import sqlite3

    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"], SECRET)
    await (await webhooks.trigger("a.b", {})).delivered(10)
    await webhooks.stop()
    with sqlite3.connect(database_file) as connection:
        assert connection.execute("SELECT traceparent FROM hookline_message").fetchall() == [
            (None,)
        ]
    connection.close()


# served ------------------------------------------------------------------------------------------


@pytest.fixture
def started(tmp_path):
    """Return a starter of commands; all are ended with the test."""
    running = []

    def start(kind, *arguments, **environment):
        running.append(kind(*arguments, cwd=tmp_path, **environment))
        return running[-1]

    yield start
    for command in running:
        if command.process.poll() is None:
            command.process.kill()
        command.ended()


async def test_hookline_serve_asks_for_a_key(started, tmp_path, eventually):
    url = f"sqlite:///{tmp_path / 'hookline.db'}"
    server = started(Serving, "serve", "--port", 0, HOOKLINE_METRICS="key", HOOKLINE_DATABASE=url)
    await asyncio.to_thread(server.wait_for, "API: ")
    await eventually(lambda: server.ready()[0] == 200, "the server")
    async with Webhooks(database=url, deliver=False) as webhooks:
        reader = await webhooks.create_api_key("prometheus", ["read"])
        app = await webhooks.applications.create("one")
        narrow = await webhooks.create_api_key("customer", [f"application:{app.id}"])

    def ask(token):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return server.get("/metrics", headers=headers)

    assert (await asyncio.to_thread(ask, None)).status_code == 401
    assert (await asyncio.to_thread(ask, narrow.token)).status_code == 403
    answer = await asyncio.to_thread(ask, reader.token)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert samples(answer.text)["hookline_database_up",] == 1


async def test_hookline_serve_without_metrics_has_none(started, eventually):
    server = started(Serving, "serve", "--port", 0)
    await asyncio.to_thread(server.wait_for, "API: ")
    await eventually(lambda: server.ready()[0] == 200, "the server")
    assert server.get("/metrics").status_code == 404


async def test_workers_are_summed(started, postgres_url, receiver, eventually):
    url = postgres_url
    webhooks = Webhooks(database=url, deliver=False, migrate="always")
    webhooks.register(receiver.url, ["*"], SECRET)
    await webhooks.trigger_many([("a.b", {"n": n}) for n in range(400)])
    command = started(
        Command,
        *("worker", "--processes", 2, "--health", 0),
        HOOKLINE_METRICS="open",
        HOOKLINE_DATABASE=url,
    )
    [line] = await asyncio.to_thread(command.wait_for, "Health: ")
    base = re.search(r"http://[^/\s]+", line)[0]
    found = {}

    def everything():
        with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
            found.update(samples(client.get(base + "/metrics").text))
        done = found.get(("hookline_attempts_total", ("outcome", "success")))
        return (done, found.get(("hookline_workers",))) == (400, 2)

    await eventually(everything, "the attempts of both")
    assert found["hookline_messages_routed_total",] == 400
    assert found["hookline_workers",] == 2
    assert found["hookline_in_flight",] == 0
    await webhooks.stop()


# what is shipped ---------------------------------------------------------------------------------

NAME = re.compile(r"\bhookline_[a-z_]+\b")


def expressions():
    """Return every expression of the alert rules and the dashboard."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    board = json.loads((ROOT / "deploy/grafana/hookline.json").read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]


async def test_dashboard_and_rules_name_what_is_served(make_webhooks, receiver, told):
    found = await scrape(await busy(make_webhooks, receiver, told))
    served, labels = {key[0] for key in found}, {(k[0], *label) for k in found for label in k[1:]}
    for where, expression in expressions():
        names = NAME.findall(expression)
        assert names, f"{where}: no metric in {expression!r}"
        assert set(names) <= served, f"{where}: {set(names) - served} is not served"
        assert expression.count("(") == expression.count(")"), where
        for name, given in re.findall(r"\b(hookline_[a-z_]+)\{([^}]*)\}", expression):
            for label, value in re.findall(r'(outcome|state|result)!?="([^"]*)"', given):
                assert (name, label, value) in labels, f"{where}: {name} has no {label}={value}"


def test_rules_are_tested_rules():
    """By their form, and by firing them with promtool where that can be had."""
    folder = ROOT / "deploy/prometheus"
    rules = yaml.safe_load((folder / "alerts.yml").read_text())["groups"][0]["rules"]
    known = {rule["alert"]: rule for rule in rules}
    assert len(known) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert {"summary", "description"} <= rule["annotations"].keys()
        assert re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))
    tested = yaml.safe_load((folder / "alerts_test.yml").read_text())["tests"]
    assert {t["alertname"] for test in tested for t in test["alert_rule_test"]} == known.keys()
    tool = promtool.find()
    if tool is not None:
        for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
            run = subprocess.run(
                [tool, *command], cwd=folder, capture_output=True, text=True, check=False
            )
            assert run.returncode == 0, run.stdout + run.stderr


# the log -----------------------------------------------------------------------------------------


async def test_json_lines_carry_fields_and_no_secret(make_webhooks, receiver, told):
    await busy(make_webhooks, receiver, told)
    lines = [json.loads(JsonFormatter().format(record)) for record in told.records]
    [routed, *_] = [line for line in lines if line["message"].startswith("Triggering")]
    assert routed["endpoints"] == 1
    assert routed["event_type"] == "order.paid"
    failed = [line for line in lines if line["message"].startswith("Error sending")]
    assert [line["status"] for line in failed] == [500, 404, 404]
    assert all(line["endpoint_id"].startswith("ep_") for line in failed)
    assert all(
        line["message_id"].startswith("msg_") and line["duration_ms"] >= 0 for line in failed
    )
    assert SECRET not in json.dumps(lines)
