"""What the frameworks' faces do beside what the examples show."""

from contextlib import asynccontextmanager

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from flask import Flask
from litestar import Litestar, get
from litestar.di import NamedDependency
from litestar.testing import AsyncTestClient
from sqlalchemy.orm import Session

from hookline import Webhooks
from hookline.errors import InvalidSettings, InvalidWebhooksFile, UnknownEventType
from hookline.flask import Hookline
from hookline.litestar import HooklinePlugin


@pytest.fixture
def flask_app(database_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = Flask("shop", instance_path=str(tmp_path))
    app.config["HOOKLINE_DATABASE"] = f"sqlite:///{database_file}"
    yield app
    if "hookline" in app.extensions:
        app.extensions["hookline"].close()


class TestFlask:
    """`Hookline`, an extension."""

    def test_settings_come_from_the_config(self, flask_app):
        """Every setting is a key of the config; one that is none is told of, with its likeness."""
        flask_app.config.update(HOOKLINE_DELIVER=False, HOOKLINE_PAYLOAD_LIMIT=2048)
        extension = Hookline(flask_app, events=["a.b"])
        settings = extension.sync.webhooks.settings
        assert (settings.deliver, settings.payload_limit) == (False, 2048)
        with pytest.raises(UnknownEventType):
            extension.trigger("a.c", {})
        flask_app.config["HOOKLINE_DELIEVR"] = True
        with pytest.raises(InvalidSettings, match=r"DELIEVR; did you mean HOOKLINE_DELIVER"):
            Hookline(flask_app)

    @pytest.mark.parametrize(
        ("uri", "expected"),
        [
            ("sqlite:///shop.db", "sqlite:///{place}/shop.db"),
            ("sqlite:////var/shop.db", "sqlite:////var/shop.db"),
            ("postgresql+psycopg://u:p@h/db", "postgresql+psycopg://u:p@h/db"),
        ],
    )
    def test_the_database_of_flask_sqlalchemy(self, flask_app, tmp_path, uri, expected):
        """Without a database of its own it is Flask-SQLAlchemy's, found where that looks."""
        del flask_app.config["HOOKLINE_DATABASE"]
        flask_app.config["SQLALCHEMY_DATABASE_URI"] = uri
        settings = Hookline(flask_app).sync.webhooks.settings
        assert settings.database == expected.format(place=tmp_path)

    def test_delivery_starts_with_the_first_request(self, flask_app, receiver):
        """Nothing runs before; what an earlier process left is delivered then."""
        extension = Hookline(flask_app)
        extension.register(receiver.url, ["*"])
        webhooks = flask_app.extensions["hookline"]
        assert webhooks._runtime.engine is None
        left = Webhooks(database=flask_app.config["HOOKLINE_DATABASE"], deliver=False)
        left.sync.trigger("a.b", {"n": 1})
        left.close()
        assert flask_app.test_client().get("/").status_code == 404
        receiver.wait_for(1)

    def test_a_database_out_of_reach_is_not_the_requests_business(self, flask_app, tmp_path):
        """A request is answered although webhooks cannot start; the next one tries again."""
        (tmp_path / "a-folder").mkdir()
        flask_app.config["HOOKLINE_DATABASE"] = f"sqlite:///{tmp_path}/a-folder"
        Hookline(flask_app)
        assert flask_app.test_client().get("/").status_code == 404
        assert flask_app.extensions["hookline"]._runtime.engine is None

    def test_several_applications(self, flask_app, tmp_path, receiver):
        """One extension serves several applications: which, their context says."""
        extension = Hookline()
        extension.register(receiver.url, ["*"])
        other = Flask("other")
        other.config["HOOKLINE_DATABASE"] = f"sqlite:///{tmp_path}/other.db"
        extension.init_app(flask_app)
        extension.init_app(other)
        with pytest.raises(RuntimeError, match="use a context"):
            extension.trigger("a.b", {})
        for app in (flask_app, other):
            with app.app_context():
                assert extension.trigger("a.b", {"app": app.name}).delivered()
        assert {each.json()["data"]["app"] for each in receiver.received} == {"shop", "other"}
        other.extensions["hookline"].close()

    def test_without_an_application(self):
        """Used before `init_app`, it says so."""
        with pytest.raises(RuntimeError, match=r"call init_app\(app\)"):
            Hookline().trigger("a.b", {})

    def test_the_session_it_is_given(self, flask_app, database_file):
        """A rollback takes the event away."""
        extension = Hookline(flask_app)
        extension.sync.start()
        engine = sa.create_engine(f"sqlite:///{database_file}")
        with Session(engine) as session:
            extension.trigger("a.b", {}, session=session)
            extension.trigger_many([("a.b", {})], session=session)
            session.rollback()
        engine.dispose()
        assert extension.sync.messages().items == []

    def test_the_command_line(self, flask_app):
        """`flask hookline` hands everything on, help and errors included."""
        Hookline(flask_app)
        runner = flask_app.test_cli_runner()
        assert runner.invoke(args=["hookline", "--help"]).exit_code == 0
        assert runner.invoke(args=["hookline", "nonsense"]).exit_code == 2
        assert runner.invoke(args=["hookline", "worker", "--processes", "2"]).exit_code == 2
        assert runner.invoke(args=["hookline", "endpoints", "list"]).exit_code == 0


class TestLifespan:
    """`webhooks.lifespan`."""

    async def test_it_is_part_of_another(self, make_webhooks, receiver):
        """The application's own lifespan may trigger until its very end."""
        webhooks = make_webhooks()
        webhooks.register(receiver.url, ["*"])

        @asynccontextmanager
        async def lifespan(app):
            async with webhooks.lifespan(app):
                yield {"state": 1}
                await webhooks.trigger("a.b", {})

        app = FastAPI(lifespan=lifespan)
        async with app.router.lifespan_context(app) as state:
            assert state == {"state": 1}
        assert webhooks._runtime.engine is None
        await receiver.arrived(1)

    async def test_a_wrong_file_ends_the_start(self, make_webhooks, tmp_path):
        """A webhooks file that is wrong is an error at the start, and nothing runs."""
        webhooks = make_webhooks()
        (tmp_path / "webhooks.json").write_text("{")
        app = FastAPI(lifespan=webhooks.lifespan)
        with pytest.raises(InvalidWebhooksFile):
            await app.router.lifespan_context(app).__aenter__()
        assert webhooks._runtime.engine is None


class TestLitestar:
    """`HooklinePlugin`."""

    async def test_without_a_session_handlers_get_the_facade(self, make_webhooks, receiver):
        """A handler may ask for `webhooks`; the pages are mounted where that is wanted."""
        webhooks = make_webhooks()
        webhooks.register(receiver.url, ["*"])

        @get("/publish")
        async def publish(webhooks: NamedDependency[Webhooks]) -> str:
            return (await webhooks.trigger("a.b", {})).message_id

        plugin = HooklinePlugin(webhooks, dashboard="/hookline")
        async with AsyncTestClient(Litestar([publish], plugins=[plugin])) as client:
            assert (await client.get("/publish")).text.startswith("msg_")
            page = await client.get("/hookline/", follow_redirects=True)
            assert (page.status_code, "API key" in page.text) == (200, True)
        assert webhooks._runtime.engine is None
        await receiver.arrived(1)


async def test_pages_in_fastapi(make_webhooks):
    """The operators' pages are mounted in an application with its own lifespan."""
    webhooks = make_webhooks()
    app = FastAPI(lifespan=webhooks.lifespan)
    app.mount("/hookline", webhooks.dashboard())
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client,
    ):
        assert (await client.get("/hookline/", follow_redirects=True)).status_code == 200
