"""What requests and answers look like, model by model: the examples of the API's description."""

from typing import Any

APPLICATION = "app_2KWPBgLlAfxdpx2AI54pPJ85f4W"
ENDPOINT = "ep_2KWPCJ7nVyyMFMyHF7gFmhD6vXk"
MESSAGE = "msg_2KWPEUpzVSgdPLR5GQnn9bnlvvD"
ATTEMPT = "atmpt_2KWPGfKV0bnwmZ0YGNbCVfd8hLa"
TASK = "job_2KWPJ5CJMV5d9aD2cuf4eD62nKo"
NOW, LATER = "2026-01-31T12:00:00.000Z", "2026-01-31T12:00:05.000Z"
PAYLOAD = {"id": "cus_1", "name": "Ada"}
SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}, "name": {"type": "string"}}}
URL = "https://example.com/webhooks"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

PARAMETERS = {
    "app_id": "acme",
    "endpoint_id": ENDPOINT,
    "msg_id": MESSAGE,
    "attempt_id": ATTEMPT,
    "task_id": TASK,
    "event_type_name": "customer.created",
    "key_id": "key_2KWPKwLWnJgGTQnGxJbKd4QAa8u",
}
"""Of the parameters in paths."""

_APPLICATION = {"name": "Acme Ltd.", "uid": "acme", "throttleRate": 50, "metadata": {"plan": "pro"}}
_EVENT_TYPE = {
    "description": "A customer was created.",
    "archived": False,
    "deprecated": False,
    "schemas": {"1": SCHEMA},
}
_ENDPOINT = {
    "url": URL,
    "description": "Orders",
    "uid": "orders",
    "disabled": False,
    "eventTypes": ["customer.created", "order.*"],
    "channels": ["project_1"],
    "metadata": {},
}
_TIMES = {"createdAt": NOW, "updatedAt": NOW}
_ENDPOINT_OUT = {
    "id": ENDPOINT,
    **_ENDPOINT,
    **_TIMES,
    "version": 1,
    "state": "active",
    "source": "api",
}
_MESSAGE = {
    "eventType": "customer.created",
    "payload": PAYLOAD,
    "eventId": "evt_1",
    "channels": ["project_1"],
}
_MESSAGE_OUT = {"id": MESSAGE, **_MESSAGE, "timestamp": NOW}
_STANDS = {"status": 0, "statusText": "success"}
_KEY = {
    "id": "key_2KWPKwLWnJgGTQnGxJbKd4QAa8u",
    "name": "billing, nightly",
    "scopes": [f"application:{APPLICATION}", "read"],
    "createdAt": NOW,
    "expiresAt": LATER,
    "lastUsedAt": NOW,
}
_OPERATIONAL = {"url": URL, "uid": "ops", "eventTypes": ["endpoint.disabled"]}
_REPLAY = {"since": NOW, "until": LATER}
_TASK = {"id": TASK, "status": "running", "task": "endpoint.recover", "updatedAt": NOW}

OF_MODELS: dict[str, Any] = {
    "ApplicationIn": _APPLICATION,
    "ApplicationPatch": {"throttleRate": None, "metadata": {"plan": "free"}},
    "ApplicationOut": {"id": APPLICATION, **_APPLICATION, **_TIMES},
    "EventTypeIn": {"name": "customer.created", **_EVENT_TYPE},
    "EventTypeFields": _EVENT_TYPE,
    "EventTypePatch": {"deprecated": True},
    "EventTypeOut": {"name": "customer.created", **_EVENT_TYPE, **_TIMES},
    "EndpointIn": {**_ENDPOINT, "secret": SECRET, "headers": {"X-Team": "orders"}},
    "EndpointUpdate": _ENDPOINT,
    "EndpointPatch": {"disabled": True},
    "EndpointOut": _ENDPOINT_OUT,
    "EndpointHealthOut": {
        "state": "active",
        "circuit": "open",
        "failures": 5,
        "failingSince": NOW,
        "waitsUntil": LATER,
        "pending": 3,
        "sending": 0,
        "held": 0,
        "nextAttempt": LATER,
        "lastAttempt": NOW,
        "lastStatus": 503,
        "lastFailure": "status",
    },
    "CanceledOut": {"canceled": 3},
    "ReleasedOut": {"released": 3},
    "EndpointHeadersIn": {"headers": {"X-Team": "orders"}},
    "EndpointHeadersPatchIn": {"headers": {"X-Team": "orders", "X-Old": None}},
    "EndpointHeadersOut": {"headers": {"X-Team": "orders"}, "sensitive": ["Authorization"]},
    "EndpointSecretOut": {"key": SECRET},
    "EndpointSecretRotateIn": {"key": None, "gracePeriodSeconds": 86_400},
    "EndpointStats": {"success": 120, "pending": 2, "sending": 1, "fail": 0, "canceled": 0},
    "RecoverIn": _REPLAY,
    "ReplayIn": {**_REPLAY, "dryRun": True},
    "BulkReplayIn": {**_REPLAY, "eventTypes": ["order.*"], "status": 2, "rate": 10},
    "AppReplayIn": {**_REPLAY, "missing": True, "dryRun": True},
    "RecoverOut": _TASK,
    "BackgroundTaskOut": {**_TASK, "data": {"total": 120, "counted": True, "done": 40}},
    "EventExampleIn": {"eventType": "customer.created", "exampleIndex": 0},
    "MessageIn": _MESSAGE,
    "MessageOut": _MESSAGE_OUT,
    "MessagePrecheckIn": {"eventType": "customer.created", "channels": ["project_1"]},
    "MessagePrecheckOut": {"active": True},
    "EndpointMessageOut": {**_MESSAGE_OUT, **_STANDS},
    "MessageEndpointOut": {**_ENDPOINT_OUT, **_STANDS},
    "MessageAttemptOut": {
        "id": ATTEMPT,
        "msgId": MESSAGE,
        "endpointId": ENDPOINT,
        "url": URL,
        "timestamp": NOW,
        **_STANDS,
        "triggerType": 0,
        "response": "ok",
        "responseStatusCode": 200,
        "responseDurationMs": 41,
        "number": 1,
    },
    "AppPortalAccessIn": {"expiry": 3600, "readOnly": True},
    "AppPortalAccessOut": {
        "url": "https://hooks.example.com/portal#key=hk_…",
        "token": "hk_…",
    },
    "Empty": {},
    "ApiKeyIn": {"name": "shop", "scopes": ["application:acme"]},
    "ApiKeyOut": _KEY,
    "ApiKeyMadeOut": {**_KEY, "token": "hk_…"},
    "AuditOut": {
        "id": "audit_2KWPMXTVwVCfUaFVXTMwvxuqxKR",
        "timestamp": NOW,
        "actor": {"kind": "api_key", "id": _KEY["id"], "name": _KEY["name"]},
        "action": "endpoint.updated",
        "target": ENDPOINT,
        "appId": APPLICATION,
        "fields": ["events", "url"],
    },
    "UsageOut": {
        "data": [{"appId": APPLICATION, "day": NOW[:10], "messages": 120, "attempts": 131}]
    },
    "PlanOut": {
        "applied": True,
        "create": 0,
        "update": 1,
        "delete": 0,
        "changes": [
            {
                "action": "update",
                "kind": "endpoint",
                "name": "acme/books",
                "fields": [{"field": "url", "before": "https://old.example/", "after": URL}],
                "notes": [],
            }
        ],
    },
    "OperationalEndpointIn": _OPERATIONAL,
    "OperationalEndpointUpdate": _OPERATIONAL,
    "BulkExpungeContentsIn": {"ids": [MESSAGE, "evt_2"]},
    "BulkExpungeContentsOut": {"results": {MESSAGE: "expunged", "evt_2": "not-found"}},
    "MessageAttemptHeadersOut": {
        "sentHeaders": {"Content-Type": "application/json", "webhook-id": MESSAGE},
        "sensitive": ["webhook-signature"],
        "responseHeaders": [["content-type", "text/plain"]],
    },
    "CheckUrlIn": {"url": "https://10.0.0.5/hooks"},
    "CheckUrlOut": {
        "url": "https://10.0.0.5/hooks",
        "allowed": False,
        "verdict": "blocked_address",
        "reason": "private network 10.0.0.0/8",
        "remedy": "To send into a local network, name it in allowed_networks "
        "(HOOKLINE_ALLOWED_NETWORKS)",
    },
    "DebugSignatureIn": {
        "body": '{"id": 1}',
        "headers": {"webhook-id": MESSAGE, "webhook-timestamp": "1767268800"},
        "secrets": [SECRET],
    },
    "DebugSignatureOut": {
        "valid": False,
        "cause": "headers_missing",
        "sentence": "webhook-signature is missing",
        "remedy": "let every proxy, gateway and cache pass the header on",
    },
}
"""Of what is sent and answered; a page of them is made of one."""


def example_of(model: str) -> Any:
    """Return an example of a model by its name in the description; None for an unknown one."""
    if model.startswith("Listed_"):
        item = OF_MODELS.get(model.removeprefix("Listed_").removesuffix("_"))
        if item is None:
            return None
        name = item.get("id", item.get("name"))
        return {"data": [item], "iterator": name, "prevIterator": f"-{name}", "done": True}
    return OF_MODELS.get(model)
