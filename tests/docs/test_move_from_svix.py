"""`docs/how-to/move-from-svix.md`: its program copies what a server has, with the official client.

The server it is copied from is one of ours: it speaks the same API.
"""

import asyncio
from contextlib import closing, contextmanager

import pytest
from svix.api import ApplicationIn, EndpointIn, EventTypeIn, MessageIn, Svix, SvixOptions
from tests.docs.reading import ROOT, blocks
from tests.receivers import servers

from hookline import Webhooks
from hookline._web.api.app import build
from hookline.testing import Receiver

PAGE = "docs/how-to/move-from-svix.md"


@contextmanager
def deployment(path):
    """Run a server; give its client and its façade."""
    with closing(
        Webhooks(database=f"sqlite:///{path}", development=True, retry_schedule=[0])
    ) as webhooks:
        token = asyncio.run(webhooks.create_api_key("move", ["admin"])).token
        with servers.asgi_server(build(webhooks), "on") as url:
            client = Svix(token, SvixOptions(server_url=url.removesuffix("/webhook")))
            with client._httpx_client:  # it closes itself no other way
                yield client


@pytest.fixture
def copy():
    """The function of the page."""
    block = blocks(PAGE, "python")[0]
    home = {"__name__": "copy_configuration"}
    exec(compile("\n" * block.line + block.text, ROOT / PAGE, "exec"), home)  # noqa: S102 - ours
    return home["copy"]


def test_everything_is_copied_and_the_receiver_notices_nothing(tmp_path, copy):
    """Endpoints with secret, headers and choice; a second run changes nothing."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    with (
        Receiver(secret) as receiver,
        deployment(tmp_path / "old.db") as old,
        deployment(tmp_path / "new.db") as new,
    ):
        old.event_type.create(EventTypeIn(name="invoice.paid", description="An invoice was paid."))
        for number in range(60):  # more than a page
            old.application.create(ApplicationIn(name=f"Customer {number}", uid=f"c{number}"))
        nameless = old.application.create(ApplicationIn(name="No uid"))
        old.endpoint.create(
            "c7",
            EndpointIn(
                url=receiver.url,
                uid="books",
                description="accounting",
                event_types=["invoice.paid"],
                channels=["europe"],
                throttle_rate=7,
                metadata={"plan": "gold"},
                secret=secret,
                headers={"X-Team": "billing"},
            ),
        )
        old.endpoint.create(nameless.id, EndpointIn(url=receiver.url + "/2"))

        copy(old, new)
        copy(old, new)

        (books,) = new.endpoint.list("c7").data
        assert (books.uid, books.url, books.event_types, books.channels) == (
            "books",
            receiver.url,
            ["invoice.paid"],
            ["europe"],
        )
        assert (books.description, books.throttle_rate, books.metadata) == (
            "accounting",
            7,
            {"plan": "gold"},
        )
        assert new.endpoint.get_secret("c7", "books").key == secret
        assert new.event_type.get("invoice.paid").description == "An invoice was paid."
        assert len(new.endpoint.list(nameless.id.removeprefix("app_")).data) == 1
        assert new.application.get("c59").name == "Customer 59"

        new.message.create(
            "c7",
            MessageIn(event_type="invoice.paid", payload={"n": 1}, channels=["europe"]),
        )
        (came,) = receiver.wait_for(1)
        assert came.verified
        assert came.headers["x-team"] == "billing"
