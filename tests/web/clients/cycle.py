"""The life cycle of everything, through the official Python client: each step's result as a line.

python cycle.py SERVER TOKEN PREFIX: run with whichever `svix` is on the path. `cycle.mjs` does the
same with the npm package, and says the same.
"""

import json
import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from svix import api, models
from svix.exceptions import HttpError, HTTPValidationError
from svix.webhooks import Webhook, WebhookVerificationError

SERVER, TOKEN, PREFIX = sys.argv[1:]
PATIENCE = 20.0
SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "string", "examples": ["cus_1", "cus_2"]}},
    "required": ["id"],
}
NEWEST = hasattr(api.Endpoint, "upsert")
WANTS = "event_types" if NEWEST else "filter_types"


class Receiver:
    """Remembers what arrives; answers 200 unless a path is told otherwise."""

    def __init__(self):
        self.changed, self.arrived, self.answers = threading.Condition(), [], {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with receiver.changed:
                    receiver.arrived.append((self.path, dict(self.headers), body))
                    receiver.changed.notify_all()
                self.send_response(receiver.answers.get(self.path, 200))
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def at(self, path):
        return [each for each in self.arrived if each[0] == path]

    def wait(self, path, n):
        """Return what arrived at a path once it is that many."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.at(path)) >= n, PATIENCE)
            return self.at(path)


def say(step, value):
    print(json.dumps([step, value]), flush=True)  # noqa: T201


def error(call, *arguments):
    """Return how the client raises what went wrong."""
    try:
        call(*arguments)
    except HTTPValidationError as problem:
        return ["HTTPValidationError", problem.status_code, problem.detail[0].loc]
    except HttpError as problem:
        return ["HttpError", problem.status_code, problem.code]
    return "none"


def until(ask, enough):
    """Ask until the answer will do: no signal crosses the border of a process."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = ask()
        if enough(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def pages(ask, name):
    """Return all pages forth, and then all pages back, by name; iterators as clients use them."""
    forth, iterator = [], None
    while True:
        page = ask(iterator)
        forth.append([name(each) for each in page.data])
        if page.done:
            break
        iterator = page.iterator
    back, iterator = [], page.prev_iterator
    while True:
        page = ask(iterator)
        back.append([name(each) for each in page.data])
        if page.done:
            break
        iterator = page.prev_iterator
    return [forth, back]


def verified(key, arrival):
    """Return what a delivery says, if the client's own verifier accepts it."""
    _, headers, body = arrival
    Webhook(key).verify(body, headers)
    return json.loads(body)


def status(attempt):
    return [int(attempt.status), attempt.response_status_code, int(attempt.trigger_type)]


svix = api.Svix(TOKEN, api.SvixOptions(server_url=SERVER, retry_schedule=[]))
receiver = Receiver()
uid = f"{PREFIX}-app"
created, updated = f"{PREFIX}.created", f"{PREFIX}.updated"

# applications
application = models.ApplicationIn(name="Acme", uid=uid, metadata={"plan": "pro"}, throttle_rate=9)
app = svix.application.create(application)
say("application", [app.name, app.uid, app.metadata, app.throttle_rate, app.id[:4]])
say("application again", error(svix.application.create, application))
say("application ensured", svix.application.get_or_create(application).id == app.id)
say("application by uid", svix.application.get(uid).id == app.id)
change = models.ApplicationPatch(throttle_rate=None, metadata={"plan": "free"})
patched = svix.application.patch(uid, change)
say("application patched", [patched.name, patched.uid, patched.metadata, patched.throttle_rate])
put = svix.application.upsert if NEWEST else svix.application.update
say("application put", put(uid, models.ApplicationIn(name="New", uid=uid)).name)
say("application made by put", put(f"{uid}-2", models.ApplicationIn(name="Two")).uid)
listed = pages(
    lambda i: svix.application.list(api.ApplicationListOptions(limit=2, iterator=i)),
    lambda each: each.uid,
)
forth = [each for page in listed[0] for each in page]
back = [each for page in reversed(listed[1]) for each in page]
say("applications", [sorted({uid, f"{uid}-2"} - {*forth}), forth[: len(back)] == back])

# event types
for name in (created, updated):
    svix.event_type.create(
        models.EventTypeIn(name=name, description="One", schemas={"1": SCHEMA}, group_name="g")
    )
again = models.EventTypeIn(name=created, description="Two")
say("event type again", error(svix.event_type.create, again))
found = svix.event_type.get(created)
say("event type", [found.name == created, found.description, found.schemas, found.group_name])
found = svix.event_type.patch(updated, models.EventTypePatch(description="Two"))
say("event type patched", [found.description, found.schemas, found.archived])
kinds = models.EventTypeUpsertIn if NEWEST else models.EventTypeUpdate
put = svix.event_type.upsert if NEWEST else svix.event_type.update
made = put(f"{PREFIX}.made", kinds(description="Made"))
say("event type made by put", [made.description, made.deprecated])
svix.event_type.delete(f"{PREFIX}.made")
options = api.EventTypeListOptions
say(
    "event types",
    [
        sum(
            each.name.startswith(f"{PREFIX}.")
            for each in svix.event_type.list(
                options(limit=250, include_archived=archived, with_content=True)
            ).data
        )
        for archived in (False, True)
    ],
)

# endpoints
secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
first = svix.endpoint.create(
    uid,
    models.EndpointIn(
        url=f"{receiver.base}/first",
        description="First",
        throttle_rate=50,
        uid="first",
        disabled=False,
        channels=["red"],
        secret=secret,
        metadata={"a": "b"},
        headers={"X-Team": "orders"},
        **{WANTS: [created]},
    ),
)
say(
    "endpoint",
    [
        first.id[:3],
        first.url == f"{receiver.base}/first",
        first.description,
        first.throttle_rate,
        first.uid,
        first.disabled,
        getattr(first, WANTS) == [created],
        first.channels,
        first.metadata,
    ],
)
say(
    "endpoint again",
    error(svix.endpoint.create, uid, models.EndpointIn(url=first.url, uid="first")),
)
say("endpoint nowhere", error(svix.endpoint.create, uid, models.EndpointIn(url="ftp://x.example")))
second = svix.endpoint.create(uid, models.EndpointIn(url=f"{receiver.base}/second", uid="second"))
kinds = models.EndpointUpsertIn if NEWEST else models.EndpointUpdate
put = svix.endpoint.upsert if NEWEST else svix.endpoint.update
third = put(uid, "third", kinds(url=f"{receiver.base}/third"))
say("endpoint made by put", [third.uid, getattr(third, WANTS)])
third = put(uid, "third", kinds(url=f"{receiver.base}/third", uid="third", disabled=True))
say("endpoint put", [third.uid, third.disabled])
third = svix.endpoint.patch(uid, "third", models.EndpointPatch(description="3rd", channels=["x"]))
third = svix.endpoint.patch(uid, "third", models.EndpointPatch(channels=None))
say("endpoint patched", [third.description, third.channels, third.disabled, third.uid])
for order in models.Ordering:
    listed = pages(
        lambda i, o=order: svix.endpoint.list(
            uid, api.EndpointListOptions(limit=2, iterator=i, order=o)
        ),
        lambda each: each.uid,
    )
    say(f"endpoints {order.value}", listed)
svix.endpoint.delete(uid, "third")
say("endpoint deleted", error(svix.endpoint.get, uid, "third"))
put = svix.endpoint.set_headers if NEWEST else svix.endpoint.update_headers
put(uid, "first", models.EndpointHeadersIn(headers={"X-Team": "billing", "X-Auth-Token": "t"}))
svix.endpoint.patch_headers(uid, "first", models.EndpointHeadersPatchIn(headers={"X-Other": "y"}))
found = svix.endpoint.get_headers(uid, "first")
say("headers", [found.headers, found.sensitive])
say("secret", svix.endpoint.get_secret(uid, "first").key == secret)

# messages
receiver.answers["/second"] = 500
message_in = models.MessageIn(
    event_type=created,
    event_id="evt-1",
    payload={"id": "cus_1", "name": "张三 😀"},
    channels=["red"],
    tags=["vip"],
)
full = api.MessageCreateOptions(with_content=True)
message = svix.message.create(uid, message_in, full)
say("message", [message.id[:4], message.event_id, message.payload, message.channels, message.tags])
say("message again", error(svix.message.create, uid, message_in))
keyed = api.MessageCreateOptions(idempotency_key=f"{PREFIX}-key")
plain = models.MessageIn(event_type=updated, payload={"id": "cus_2"})
same = [svix.message.create(uid, plain, keyed).id for _ in range(2)]
say("message repeated", same[0] == same[1])
[arrival] = receiver.wait("/first", 1)
say("verified", verified(secret, arrival))
headers = arrival[1]
say("headers arrived", [headers["X-Team"], headers["X-Auth-Token"], headers["X-Other"]])
receiver.wait("/second", 2)
say("by event id", svix.message.get(uid, "evt-1").id == message.id)
for what, options in (
    ("channel", {"channel": "red"}),
    ("tag", {"tag": "vip"}),
    ("type", {"event_types": [updated]}),
    ("before", {"before": datetime(2020, 1, 1)}),  # noqa: DTZ001 - the client sends it as it is
    ("after", {"after": datetime.now(UTC) - timedelta(hours=1)}),
    ("none", {"channel": "blue"}),
):
    listed = svix.message.list(uid, api.MessageListOptions(with_content=True, **options))
    say(f"messages by {what}", [each.payload["id"] for each in listed.data])
bare = svix.message.list(uid, api.MessageListOptions(with_content=False)).data
say("messages without content", [each.payload for each in bare])
precheck = [
    svix.message.precheck(uid, models.MessagePrecheckIn(event_type=created, channels=channels))
    for channels in (["red"], None)
]
say("precheck", [each.active for each in precheck])

# attempts
by_message, by_endpoint = svix.message_attempt.list_by_msg, svix.message_attempt.list_by_endpoint
options = api.MessageAttemptListByMsgOptions
attempts = until(lambda: by_message(uid, message.id), lambda found: len(found.data) == 2).data
say("attempts", sorted(map(status, attempts)))
failed = by_message(
    uid,
    message.id,
    options(status=models.MessageStatus.FAIL, status_code_class=models.StatusCodeClass.CODE5XX),
)
say("failed attempts", [each.endpoint_id == second.id for each in failed.data])
one = by_message(uid, message.id, options(endpoint_id="first", with_content=True)).data
say("attempt", [one[0].response, one[0].url == first.url, one[0].endpoint_id == first.id])
say("attempt by id", svix.message_attempt.get(uid, message.id, one[0].id).response)
for n in range(3):
    svix.message.create(uid, models.MessageIn(event_type=updated, payload={"id": f"more_{n}"}))
receiver.wait("/second", 5)
size = lambda n: lambda found: len(found.data) == n  # noqa: E731
found = until(lambda: by_endpoint(uid, "second"), size(5)).data
own = {each.msg_id: svix.message.get(uid, each.msg_id).payload.get("id") for each in found}
order = sorted(own, reverse=True)
options = api.MessageAttemptListByEndpointOptions
listed = pages(
    lambda i: by_endpoint(uid, "second", options(limit=2, iterator=i)), lambda each: each.id
)
say(
    "attempt pages",
    [
        [len(page) for page in listed[0]],
        [len(page) for page in listed[1]],
        sorted(each for page in listed[0] for each in page) == sorted(each.id for each in found),
    ],
)
listed = pages(
    lambda i: svix.message_attempt.list_attempted_messages(
        uid,
        "second",
        api.MessageAttemptListAttemptedMessagesOptions(limit=2, iterator=i),
    ),
    lambda each: order.index(each.id),
)
say("attempted messages", listed)
listed = pages(
    lambda i: svix.message_attempt.list_attempted_destinations(
        uid,
        message.id,
        api.MessageAttemptListAttemptedDestinationsOptions(limit=1, iterator=i),
    ),
    lambda each: [each.uid, int(each.status), str(each.status_text)],
)
say("destinations", listed)

# again
receiver.answers["/second"] = 200
svix.message_attempt.resend(uid, message.id, "second")
receiver.wait("/second", 6)
found = until(
    lambda: by_message(uid, message.id, api.MessageAttemptListByMsgOptions(endpoint_id="second")),
    size(2),
)
say("resent", [status(each) for each in found.data])
begin = datetime.now(UTC) - timedelta(hours=1)
finished = lambda task: str(task.status) == "finished"  # noqa: E731


def ended(task):
    found = until(lambda: svix.background_task.get(task.id), finished)
    return [str(found.task), str(found.status), found.id == task.id]


say("recover", ended(svix.endpoint.recover(uid, "second", models.RecoverIn(since=begin))))
say("recovered", len(receiver.wait("/second", 10)))
svix.endpoint.create(uid, models.EndpointIn(url=f"{receiver.base}/late", uid="late"))
task = svix.endpoint.replay_missing(uid, "late", models.ReplayIn(since=begin))
say("replay missing", ended(task))
late = svix.endpoint.get_secret(uid, "late").key
arrived = receiver.wait("/late", 5)
say("missing arrived", sorted(verified(late, each)["id"] for each in arrived))
until(lambda: by_endpoint(uid, "late", api.MessageAttemptListByEndpointOptions(status=0)), size(5))
task = svix.endpoint.bulk_replay(
    uid,
    "late",
    models.BulkReplayIn(
        since=begin,
        status=models.MessageStatus.SUCCESS,
        event_types=[created],
        channel="red",
        tag="vip",
        status_code_class=models.StatusCodeClass.CODE2XX,
    ),
)
say("bulk replay", ended(task))
arrived = receiver.wait("/late", 6)
say("bulk arrived", [verified(late, arrived[-1])["id"], len(arrived)])
tasks = svix.background_task.list(api.BackgroundTaskListOptions(limit=250)).data
say("tasks", task.id in {each.id for each in tasks})

# stats, secrets, examples
stats = until(lambda: svix.endpoint.get_stats(uid, "late"), lambda found: found.success == 6)
say("stats", [stats.success, stats.fail, stats.pending, stats.sending])
rotated = svix.endpoint.rotate_secret(
    uid, "first", models.EndpointSecretRotateIn(grace_period_seconds=3600)
)
new = svix.endpoint.get_secret(uid, "first").key
say("rotated", [new != secret, rotated is None or rotated.key == new])
example = svix.endpoint.send_example(
    uid, "first", models.EventExampleIn(event_type=created, example_index=1)
)
arrived = receiver.wait("/first", 2)
say("example", [verified(key, arrived[-1]) for key in (secret, new)])
try:
    verified("whsec_" + "A" * 32, arrived[-1])
except WebhookVerificationError:
    say("another secret", "refused")
svix.message.expunge_content(uid, message.id)
erased = svix.message.list(uid, api.MessageListOptions(tag="vip", with_content=True)).data
say("expunged", [each.payload for each in erased])
until(lambda: by_message(uid, example.id), size(1))
attempt = by_message(uid, example.id).data[0]
svix.message_attempt.expunge_content(uid, example.id, attempt.id)
say("answer expunged", svix.message_attempt.get(uid, example.id, attempt.id).response)

# access
access = svix.authentication.app_portal_access(uid, models.AppPortalAccessIn(expiry=3600))
portal = api.Svix(access.token, api.SvixOptions(server_url=SERVER, retry_schedule=[]))
say("portal", [access.url.startswith("http"), len(portal.endpoint.list(uid).data)])
say("portal publishes", error(portal.message.create, uid, plain))
say("portal elsewhere", error(portal.endpoint.list, f"{uid}-2"))
portal.authentication.logout()
say("portal left", error(portal.endpoint.list, uid))
access = svix.authentication.app_portal_access(uid, models.AppPortalAccessIn())
portal = api.Svix(access.token, api.SvixOptions(server_url=SERVER, retry_schedule=[]))
svix.authentication.expire_all(uid, models.ApplicationTokenExpireIn())
say("portal expired", error(portal.endpoint.list, uid))

# errors, the end
stranger = api.Svix("hk_nobody", api.SvixOptions(server_url=SERVER, retry_schedule=[]))
say("stranger", error(stranger.application.list))
say("nobody", error(svix.application.get, "nobody"))
say("no message", error(svix.message.get, uid, "nothing"))
say("bad limit", error(svix.application.list, api.ApplicationListOptions(limit=1000)))
say("other iterator", error(svix.message.list, uid, api.MessageListOptions(iterator=first.id)))
svix.application.delete(uid)
svix.application.delete(f"{uid}-2")
say("application deleted", error(svix.application.get, uid))
say("gone with it", error(svix.endpoint.get, uid, "first"))
sys.stdout.flush()
os._exit(0)  # the client keeps its sockets for itself
