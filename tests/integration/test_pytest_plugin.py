"""The pytest plugin, in pytest runs of its own: found by itself, quiet, and cheap."""

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

APPLICATION = """
from hookline import Webhooks

webhooks = Webhooks(
    events=["customer.created", "customer.updated"], development=True, retry_schedule=[0, 5]
)
webhooks.register("https://shop.example/hooks", ["*"], secret="your-secret-key")
"""
INI = """
[pytest]
filterwarnings = error
asyncio_default_fixture_loop_scope = function
"""


@pytest.fixture
def project(pytester):
    """A project with an application; its tests must not leave anything behind."""
    pytester.makepyfile(application=APPLICATION)
    pytester.makeini(INI)
    yield pytester
    assert not list(pytester.path.rglob("*.db")), "a test opened the application's own database"


def run(project, *arguments):
    """Run the project's tests in a process of their own."""
    return project.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def run_here(project, *arguments):
    """Run the project's tests in this process, which is quicker."""
    return project.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", *arguments)


def test_fixtures(project):
    """All fixtures, in plain functions."""
    project.makepyfile(
        """
        import asyncio
        from application import webhooks
        from hookline.testing import FakeClock, Receiver, WebhookOutbox

        def test_outbox(webhook_outbox, hookline_clock):
            asyncio.run(webhooks.trigger("customer.created", {"name": "张三"}))
            webhook_outbox.assert_sent("customer.created", data__name="张三", times=1)
            assert isinstance(webhook_outbox, WebhookOutbox)
            assert webhook_outbox.clock is hookline_clock
            assert isinstance(hookline_clock, FakeClock)

        def test_the_next_one_is_empty(webhook_outbox):
            webhook_outbox.assert_nothing_sent()

        def test_receivers(webhook_outbox, webhook_receiver, failing_webhook_receiver):
            for each in webhook_receiver, failing_webhook_receiver:
                webhooks.register(each.url, ["*"], secret=each.secret)
            webhook_outbox.receive("https://shop.example/hooks")
            asyncio.run(webhooks.trigger("customer.created", {"name": "张三"}))
            webhook_outbox.advance(3600)
            assert [r.verified for r in webhook_receiver.received] == [True]
            assert [r.answer for r in failing_webhook_receiver.received] == [503, 503]
            assert all(r.verified for r in failing_webhook_receiver.received)
        """
    )
    run_here(project).assert_outcomes(passed=3)


def test_failures_point_at_the_test(project):
    """A failing assertion shows the line of the test and what was sent, not our insides."""
    project.makepyfile(
        """
        import asyncio
        from application import webhooks

        def test_it(webhook_outbox):
            asyncio.run(webhooks.trigger("customer.created", {"name": "李四"}))
            webhook_outbox.assert_sent("customer.created", data__name="张三")
        """
    )
    result = run_here(project, "-p", "no:logging")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       webhook_outbox.assert_sent(*",
            "E       AssertionError: customer.created with data__name='张三' was sent 0 times*",
            "E       Nearest: customer.created *李四*",
            "E         data__name: expected '张三', found '李四'",
        ]
    )
    result.stdout.no_fnmatch_line("*_outbox.py*")


def test_coroutines(project):
    """Under pytest-asyncio and under anyio."""
    project.makepyfile(
        """
        import pytest
        from application import webhooks

        async def check(outbox):
            shop = outbox.inline().receive("https://shop.example/hooks", secret="your-secret-key")
            await webhooks.trigger("customer.created", {"name": "张三"})
            outbox.assert_sent("customer.created", times=1)
            assert shop.received[0].verified
            await outbox.drained()

        @pytest.mark.asyncio
        async def test_asyncio(webhook_outbox):
            await check(webhook_outbox)

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio"])
        async def test_anyio(webhook_outbox):
            await check(webhook_outbox)
        """
    )
    run_here(project).assert_outcomes(passed=2)


def test_unittest(project):
    """In a TestCase: the context manager, and under pytest the fixture."""
    project.makepyfile(
        test_cases="""
        import asyncio
        import unittest
        from application import webhooks
        from hookline.testing import WebhookOutbox

        class Customers(unittest.TestCase):
            def setUp(self):
                self.outbox = self.enterContext(WebhookOutbox())

            def test_created(self):
                asyncio.run(webhooks.trigger("customer.created", {"name": "张三"}))
                self.outbox.assert_sent("customer.created", data__name="张三", times=1)

            def test_nothing(self):
                self.outbox.assert_nothing_sent()

        class Asynchronous(unittest.IsolatedAsyncioTestCase):
            async def test_created(self):
                with WebhookOutbox() as outbox:
                    await webhooks.trigger("customer.created", {})
                    outbox.assert_sent("customer.created", times=1)
        """
    )
    run(project).assert_outcomes(passed=3)
    subprocess.run([sys.executable, "-m", "unittest", "-q"], cwd=project.path, check=True)


def test_django(project):
    """In Django's TestCase, whose transaction never commits: what `on_commit` would have run."""
    project.makepyfile(
        test_customers="""
        import asyncio
        import django
        from django.conf import settings

        settings.configure(
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
        )
        django.setup()

        from django.db import connections, transaction
        from django.test import TestCase
        from django.test.utils import setup_test_environment
        from application import webhooks
        from hookline.testing import WebhookOutbox

        def publish(event):
            transaction.on_commit(lambda: asyncio.run(webhooks.trigger(event, {})))

        class Customers(TestCase):
            def setUp(self):
                self.outbox = self.enterContext(WebhookOutbox())

            def test_committed(self):
                with self.captureOnCommitCallbacks(execute=True):
                    with transaction.atomic():
                        publish("customer.created")
                    self.outbox.assert_nothing_sent()
                self.outbox.assert_sent("customer.created", times=1)

            def test_rolled_back(self):
                with self.captureOnCommitCallbacks(execute=True):
                    try:
                        with transaction.atomic():
                            publish("customer.created")
                            raise KeyError
                    except KeyError:
                        pass
                self.outbox.assert_nothing_sent()

            def test_as_a_session(self):
                here = connections["default"]
                with self.captureOnCommitCallbacks(execute=True):
                    asyncio.run(webhooks.trigger("customer.created", {}, session=here))
                    self.outbox.assert_nothing_sent()
                self.outbox.assert_sent("customer.created", times=1)
        """
    )
    run(project).assert_outcomes(passed=3)


QUIET = """
import sys

def test_nothing_of_it_is_loaded():
    loaded = {name for name in sys.modules if name.partition(".")[0] == "hookline"}
    assert loaded == {"hookline", "hookline.testing", "hookline.testing.plugin"}
    assert not {"sqlalchemy", "pycurl", "orjson", "typer"} & set(sys.modules)
"""


def test_runs_that_do_not_use_it_pay_nothing(pytester):
    """Where no test asks for a fixture, three small modules are loaded and nothing else."""
    pytester.makepyfile(QUIET)
    pytester.makeini(INI)
    run(pytester).assert_outcomes(passed=1)


def test_it_can_be_turned_off(pytester):
    """`-p no:hookline` leaves it out."""
    pytester.makepyfile("def test_it(webhook_outbox): pass")
    run_here(pytester, "-p", "no:hookline").assert_outcomes(errors=1)


def test_under_xdist(project):
    """Several processes at once, each with its own."""
    project.makepyfile(
        """
        import asyncio
        import pytest
        from application import webhooks

        @pytest.mark.parametrize("n", range(6))
        def test_it(webhook_outbox, n):
            asyncio.run(webhooks.trigger("customer.created", {"n": n}))
            webhook_outbox.assert_sent("customer.created", data__n=n, times=1)
        """
    )
    run(project, "-n", "2").assert_outcomes(passed=6)


def test_fixtures_explain_themselves(pytester):
    """`pytest --fixtures` says what they are."""
    result = run_here(pytester, "--fixtures", "-v")
    result.stdout.fnmatch_lines(["*hookline_clock*", "*stands still*", "*webhook_outbox*"])
