"""`hookline.django` from inside a project: run by `manage.py test` of the example."""

import asyncio
import json
from datetime import UTC, datetime

from django.contrib.auth.models import Permission, User
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import Count
from django.test import TestCase, TransactionTestCase, override_settings
from django.urls import reverse

from hookline.django import atrigger, trigger, trigger_many, webhooks
from hookline.django._publish import _postgresql_url, configured
from hookline.django.models import Attempt, Message
from hookline.errors import (
    ApplicationNotFound,
    IdempotencyConflict,
    InvalidPayload,
    UnknownEventType,
)

PLACED = "order.placed"


def numbers():
    return sorted(json.loads(bytes(m.body))["data"]["n"] for m in Message.objects.all())


class InATestCase(TestCase):
    """What is published is there, and gone with the test."""

    def test_it_is_there(self):
        receipt = trigger(PLACED, {"n": 1}, tags=["a"], event_id="mine")
        message = Message.objects.get(pk=receipt.message_id)
        self.assertEqual(
            (message.event_type, message.event_id, message.tags), (PLACED, "mine", '["a"]')
        )
        self.assertEqual(message.application.uid, "default")
        self.assertLess(abs((message.created_at - datetime.now(UTC)).total_seconds()), 60)
        self.assertEqual(Message.objects.filter(pk="msg_of_nobody").count(), 0)
        self.assertEqual(
            list(Message.objects.values_list("event_type").annotate(Count("pk"))), [(PLACED, 1)]
        )

    def test_it_takes_few_queries(self):
        expected = 3  # which application, and message and outbox; or both at once, and NOTIFY
        with self.assertNumQueries(expected):
            trigger(PLACED, {"n": 1})
        with self.assertNumQueries(expected):
            trigger_many([(PLACED, {"n": n}) for n in range(50)])

    def test_savepoints(self):
        trigger(PLACED, {"n": 1})
        try:
            with transaction.atomic():
                trigger(PLACED, {"n": 2})
                raise ZeroDivisionError
        except ZeroDivisionError:
            trigger(PLACED, {"n": 3})
        self.assertEqual(numbers(), [1, 3])

    def test_what_is_refused_leaves_the_transaction_alone(self):
        trigger(PLACED, {"n": 1}, idempotency_key="k")
        self.assertTrue(trigger(PLACED, {"n": 1}, idempotency_key="k").duplicate)
        with self.assertRaisesRegex(IdempotencyConflict, "'k'"):
            trigger(PLACED, {"n": 2}, idempotency_key="k")
        with self.assertRaises(InvalidPayload):
            trigger(PLACED, {"n": float("nan")})
        with self.assertRaisesRegex(UnknownEventType, PLACED):
            trigger("order.plaecd", {"n": 3})
        with self.assertRaisesRegex(ApplicationNotFound, "'nobody'"):
            trigger(PLACED, {"n": 3}, application="nobody")
        self.assertEqual(numbers(), [1])

    def test_nothing_runs_in_this_process(self):
        trigger(PLACED, {"n": 1})
        self.assertIsNone(webhooks._runtime.engine)

    @override_settings(DEBUG=True)
    def test_with_the_queries_of_debug(self):
        trigger(PLACED, {"n": 1}, idempotency_key="100 %")
        self.assertTrue(any("hookline_message" in query["sql"] for query in connection.queries))


class WithoutATestCase(TransactionTestCase):
    """Transactions of its own."""

    def setUp(self):
        for table in ("message", "outbox", "idempotency", "delivery", "attempt", "endpoint"):
            with connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM hookline_{table}")

    def test_outside_of_a_transaction_it_commits(self):
        trigger(PLACED, {"n": 1})
        self.assertFalse(connection.in_atomic_block)
        self.assertEqual(numbers(), [1])

    def test_a_rollback_takes_it_away_with_its_key(self):
        try:
            with transaction.atomic():
                trigger(PLACED, {"n": 1}, idempotency_key="k")
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        self.assertEqual(numbers(), [])
        self.assertFalse(trigger(PLACED, {"n": 1}, idempotency_key="k").duplicate)

    def test_all_or_none(self):
        trigger(PLACED, {"n": 1}, idempotency_key="k")
        with self.assertRaises(IdempotencyConflict):
            trigger_many(
                [(PLACED, {"n": 2}), (PLACED, {"n": 3}, None, "k2"), (PLACED, {"n": 4}, None, "k")]
            )
        self.assertEqual(numbers(), [1])
        self.assertFalse(trigger(PLACED, {"n": 3}, idempotency_key="k2").duplicate)

    def test_manual_transactions(self):
        transaction.set_autocommit(False)
        try:
            trigger(PLACED, {"n": 1})
            transaction.rollback()
        finally:
            transaction.set_autocommit(True)
        self.assertEqual(numbers(), [])


class Asynchronously(TestCase):
    async def test_atrigger(self):
        receipt = await atrigger(PLACED, {"n": 1})
        self.assertTrue(await Message.objects.filter(pk=receipt.message_id).aexists())

    async def test_several_at_once(self):
        await asyncio.gather(atrigger(PLACED, {"n": 1}), atrigger(PLACED, {"n": 2}))
        self.assertEqual(await Message.objects.acount(), 2)


def fill():
    """Publish a message and route it to nobody, as a worker would have."""
    receipt = trigger(PLACED, {"n": 7, "name": "<b>张三</b>"}, event_id="mine")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM hookline_outbox")
    return receipt


class Admin(TestCase):
    """The pages: who may see and do what, and nothing that was received becomes markup."""

    def setUp(self):
        self.receipt = fill()
        self.client.force_login(User.objects.create_superuser("root"))

    def page(self, name, *args, **query):
        response = self.client.get(reverse(f"admin:hookline_{name}", args=args), query)
        self.assertEqual(response.status_code, 200)
        return response.content.decode()

    def test_messages(self):
        page = self.page("message_changelist")
        self.assertIn(self.receipt.message_id, page)
        self.assertIn("no endpoint wanted it", page)
        self.assertNotIn("Add message", page)

    def test_a_message(self):
        page = self.page("message_change", self.receipt.message_id)
        self.assertIn("&lt;b&gt;张三&lt;/b&gt;", page)
        self.assertNotIn("<b>张三", page)

    def test_finding(self):
        for term in (self.receipt.message_id, "mine", PLACED):
            self.assertIn(self.receipt.message_id, self.page("message_changelist", q=term))
        for term in ("msg_", "msg_" + "0" * 27, "another", "%", "'"):
            page = self.page("message_changelist", q=term)
            self.assertNotIn(self.receipt.message_id, page.split('id="changelist"')[1])

    def test_lists_of_nothing(self):
        self.page("endpoint_changelist")
        self.page("attempt_changelist")
        self.assertEqual(Attempt.objects.count(), 0)

    def test_an_id_that_is_none(self):
        url = reverse("admin:hookline_message_change", args=["nonsense"])
        self.assertEqual(self.client.get(url).status_code, 302)  # Django's answer to none

    def test_permissions(self):
        user = User.objects.create_user("eve", is_staff=True)
        self.client.force_login(user)
        url = reverse("admin:hookline_message_changelist")
        self.assertEqual(self.client.get(url).status_code, 403)
        user.user_permissions.add(Permission.objects.get(codename="view_message"))
        page = self.page("message_changelist")
        self.assertIn(self.receipt.message_id, page)
        self.assertNotIn("Send again", page)
        user.user_permissions.add(Permission.objects.get(codename="resend_message"))
        self.assertIn("Send again", self.page("message_changelist"))
        for codename in ("add_message", "change_message", "delete_message"):
            self.assertFalse(Permission.objects.filter(codename=codename).exists())


class Settings(TestCase):
    def refused(self, words, **values):
        with self.settings(HOOKLINE=values):
            with self.assertRaisesRegex(ImproperlyConfigured, words):
                configured()
            found = checks.run_checks()
            self.assertIn("hookline.E001", [each.id for each in found])

    def test_mistakes(self):
        self.refused("there is no setting 'DELIEVR'; did you mean 'DELIVER'", DELIEVR=True)
        self.refused("there is no setting 'deliver'; did you mean", deliver=True)
        self.refused("HOOKLINE: .*timeout: -1", TIMEOUT=-1)
        self.refused("HOOKLINE: .*database: mysql", DATABASE="mysql://x/y")

    def test_events_that_are_not_there(self):
        with self.settings(HOOKLINE={"EVENTS": "shop.events.Nothing"}):
            self.assertIn("hookline.E002", [each.id for each in checks.run_checks()])

    def test_other_settings_hold_at_once(self):
        with self.settings(HOOKLINE={"PAYLOAD_LIMIT": 2048, "DEVELOPMENT": True}):
            self.assertEqual(configured().webhooks.settings.payload_limit, 2048)
            trigger("anything.goes", {"n": 1})
        with self.assertRaises(UnknownEventType):
            trigger("anything.goes", {"n": 1})

    def test_the_test_database_is_the_engines_too(self):
        name = str(connection.settings_dict["NAME"])
        url = webhooks._runtime.database()
        self.assertIn("memory" if "memory" in name else name, url)

    def test_urls_of_postgresql(self):
        made = _postgresql_url(
            {"NAME": "a/b", "USER": "u@x", "PASSWORD": "p:/?#", "HOST": "db", "PORT": 5433,
             "OPTIONS": {"sslmode": "require", "pool": True}}
        )  # fmt: skip
        self.assertEqual(
            made,
            "postgresql+asyncpg://u%40x:p%3A%2F%3F%23@db:5433/a%2Fb?sslmode=require",
        )
        socket = _postgresql_url({"NAME": "db", "HOST": "/run/pg", "PORT": "5433"})
        self.assertEqual(socket, "postgresql+asyncpg:///db?host=%2Frun%2Fpg&port=5433")
        self.assertEqual(_postgresql_url({"NAME": "db"}), "postgresql+asyncpg:///db")


class Commands(TestCase):
    def test_an_unknown_command(self):
        with self.assertRaises(CommandError) as caught:
            call_command("hookline", "nonsense")
        self.assertEqual(caught.exception.returncode, 2)

    def test_several_processes(self):
        with self.assertRaises(CommandError):
            call_command("hookline", "worker", "--processes", "2")
