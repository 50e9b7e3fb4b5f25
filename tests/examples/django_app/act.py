"""What an operator does in the admin, on a database that a worker delivers from."""

from django.contrib.auth.models import User
from django.test import Client
from django.test.utils import setup_test_environment
from django.urls import reverse

from hookline.django import webhooks
from hookline.django.models import Attempt, Endpoint, Message

setup_test_environment()  # answers keep what they were made of
client = Client(headers={"host": "localhost"})
client.force_login(User.objects.create_superuser("root"))


def page(name, *args, **query):
    answer = client.get(reverse(f"admin:hookline_{name}", args=args), query)
    assert answer.status_code == 200, (name, answer.status_code)
    return answer.content.decode()


def act(model, action, *keys):
    url = reverse(f"admin:hookline_{model}_changelist")
    answer = client.post(url, {"action": action, "_selected_action": keys}, follow=True)
    said = [str(each) for each in answer.context["messages"]]
    assert said == [f"Done: {len(keys)} of {len(keys)}."], said


first, second = Message.objects.order_by("pk")
attempt = Attempt.objects.select_related("message", "endpoint").get(message=first)
endpoint = attempt.endpoint
assert attempt.message == first
assert list(first.attempts.all()) == [attempt]
assert endpoint == Endpoint.objects.get(url__startswith="http://127.0.0.1")

assert "delivered" in page("message_changelist")
assert endpoint.url in page("message_change", first.pk)
assert endpoint.url in page("attempt_changelist", q=first.pk)
assert first.pk in page("attempt_change", attempt.pk)
assert endpoint.url in page("endpoint_changelist", q="127.0.0.1")
assert "order.*" in page("endpoint_change", endpoint.pk)

act("message", "resend", first.pk)
act("endpoint", "disable", endpoint.pk)
endpoint.refresh_from_db()
assert (endpoint.disabled_reason, endpoint.disabled_at is None) == ("by root in the admin", False)
assert "by root in the admin" in page("endpoint_changelist")
act("endpoint", "enable", endpoint.pk)
endpoint.refresh_from_db()
assert endpoint.disabled_at is None
assert {entry.actor.name for entry in webhooks.sync.audit().items} >= {"root"}
webhooks.close()
