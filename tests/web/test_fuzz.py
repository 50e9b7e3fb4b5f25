"""Schemathesis: requests made of our own description, right and wrong ones, meet no surprise.

Against `hookline serve` on SQLite, with ids of things that are there in most of the paths. The same
requests every time; `make api-fuzz` makes others, and more: HOOKLINE_FUZZ_EXAMPLES of each kind.
"""

import os
import subprocess
import sys

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks
from tests.integration.test_cli_serve import Serving

from hookline import Webhooks
from hookline._web.api.app import build
from hookline.testing import Receiver

EXAMPLES = int(os.environ.get("HOOKLINE_FUZZ_EXAMPLES", "8"))
DESCRIPTION = build(Webhooks(database="sqlite:///unused.db", deliver=False)).openapi()
OPERATIONS = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_dict(DESCRIPTION).get_all_operations()
}
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
ENDLESS = "GET /api/v1/app/{app_id}/listen"  # a stream: test_listen.py has it
ENDS = ("DELETE /api/v1/app/{app_id}", "DELETE /api/v1/app/{app_id}/endpoint/{endpoint_id}")
"""What would take away what the others need: they get only ids that nobody has. (So does an import
with `prune`, which is never asked for here.)"""


class Seeded:
    """A server with one of everything, and the ids of it."""

    def __init__(self, base, token):
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {token}"
        self.ids = {}

    def make(self, method, path, **options):
        """Ask for something that has to be there."""
        url = f"{self.base}/api/v1{path}"
        answer = self.session.request(method, url, timeout=20, **options)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def seed(self, url):
        """Make one of everything."""
        app = self.make("POST", "/app", json={"name": "Fuzz"})["id"]
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
        event_type = {"name": "fuzz.made", "description": "Made.", "schemas": {"1": schema}}
        self.make("POST", "/event-type", json=event_type)
        endpoint = self.make("POST", f"/app/{app}/endpoint", json={"url": url})["id"]
        sent = {"eventType": "fuzz.made", "payload": {"n": 1}}
        message = self.make("POST", f"/app/{app}/msg", json=sent)["id"]
        recover = {"since": "2026-01-01T00:00:00Z"}
        task = self.make("POST", f"/app/{app}/endpoint/{endpoint}/recover", json=recover)["id"]
        self.ids = {
            "app_id": app,
            "endpoint_id": endpoint,
            "msg_id": message,
            "task_id": task,
            "event_type_name": "fuzz.made",
        }

    def attempt(self):
        """Note the attempt that was made of the message; tell whether it was."""
        app, message = self.ids["app_id"], self.ids["msg_id"]
        found = self.make("GET", f"/app/{app}/attempt/msg/{message}")["data"]
        self.ids |= {"attempt_id": found[0]["id"]} if found else {}
        return bool(found)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that delivered one message, and delivers no more."""
    folder = tmp_path_factory.mktemp("fuzzed")
    command = [sys.executable, "-m", "hookline", "keys", "create", "fuzz", "--scope", "admin"]
    first = Serving("serve", "--port", "0", cwd=folder)
    try:
        first.wait_until_ready()
        made = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        with Receiver() as receiver:
            seeded = Seeded(first.base, made.stdout.strip())
            seeded.seed(receiver.url)
            first.wait_for("Webhook sent successfully")
            assert seeded.attempt()
        first.stop()
        serving = Serving("serve", "--port", "0", "--no-deliver", cwd=folder)
        try:
            serving.wait_until_ready()
            seeded.base = serving.base
            yield seeded
            serving.stop()
        finally:
            serving.process.kill()
            serving.ended()
    finally:
        first.process.kill()
        first.ended()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != ENDLESS])
def test_nothing_surprises(server, name, mode):
    """No 5xx, no undocumented status, type or shape, whatever is sent."""
    operation = OPERATIONS[name]

    @settings(
        max_examples=EXAMPLES,
        derandomize="HOOKLINE_FUZZ_EXAMPLES" not in os.environ,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(generation_mode=mode), real=st.sampled_from([True, True, False])
    )
    def check(case, real):
        if real and name not in ENDS:
            known = {key: server.ids[key] for key in case.path_parameters if key in server.ids}
            case.path_parameters = {**case.path_parameters, **known}
        case.query = {k: v for k, v in (case.query or {}).items() if k != "prune"}
        answer = case.call(base_url=server.base, session=server.session, timeout=20)
        case.validate_response(answer, checks=CHECKS)

    try:
        check()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # nothing in it can be wrong
