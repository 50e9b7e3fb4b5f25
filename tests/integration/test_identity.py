"""Private authorities, client certificates and HTTP/2: nothing of one identity serves another."""

import ssl
from contextlib import ExitStack
from datetime import timedelta

import pytest
from tests.integration.private_support import (
    NAME,
    Http2Receiver,
    Receiver,
    authority,
    server_context,
)
from tests.integration.support import Sending

from hookline._domain.delivery import Failure


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def sending(stack):
    """A sender that knows one address for every name."""
    one = Sending(lookup=lambda _: ["127.0.0.1"])
    stack.callback(one.sender.stop)
    return one


@pytest.fixture
def serve(stack, tmp_path):
    """Return a maker of receivers with TLS."""

    def make(kind=Receiver, *, signer=None, names=(NAME,), clients=None, **options):
        signed = (signer or authority()).issue("server", *names)
        tls = server_context(tmp_path, *signed, clients, **options)
        made = kind(tls=tls)
        stack.callback(made.close)
        return made

    return make


def private(certificate=None, key=None, **more):
    return {"ca": authority().certificate, "certificate": certificate, "key": key, **more}


# whom it must be --------------------------------------------------------------------------------


def test_a_private_authority(sending, serve):
    """A receiver that the system does not trust is trusted by its endpoint's own authority."""
    receiver = serve()
    assert sending.send(receiver.url()).failure is Failure.TLS
    assert sending.send(receiver.url(), **private()).ok
    assert sending.send(receiver.url()).failure is Failure.TLS
    assert len(receiver.seen) == 1


def test_another_authority(sending, serve):
    """A certificate of another authority is refused, also right after a connection was made."""
    receiver = serve()
    assert sending.send(receiver.url(), **private()).ok
    other = sending.send(receiver.url(), ca=authority("Another").certificate)
    assert other.failure is Failure.TLS
    assert len(receiver.seen) == 1


def test_the_private_authority_replaces_the_systems(stack, serve, monkeypatch, tmp_path):
    """What the system trusts, from a file and from a folder, is not trusted beside it."""
    trusted = authority("Trusted by the system")
    receiver = serve(signer=trusted)
    paths = ssl.get_default_verify_paths()
    for kind in ("file", "folder"):
        place = tmp_path / kind
        if kind == "file":
            place.write_text(trusted.certificate)
            found = paths._replace(cafile=str(place), capath=None)
        else:
            place.mkdir()
            (place / _hashed(trusted.certificate, tmp_path)).write_text(trusted.certificate)
            found = paths._replace(cafile=None, capath=str(place))
        monkeypatch.setattr(ssl, "get_default_verify_paths", lambda found=found: found)
        sending = Sending(lookup=lambda _: ["127.0.0.1"])
        stack.callback(sending.sender.stop)
        assert sending.send(receiver.url()).ok
        assert sending.send(receiver.url(), **private()).failure is Failure.TLS


def _hashed(certificate, folder):
    """The file's name under which OpenSSL finds a certificate in a folder."""
    import subprocess

    path = folder / "to_hash.pem"
    path.write_text(certificate)
    asked = ["openssl", "x509", "-noout", "-hash", "-in", str(path)]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() + ".0"


def test_a_certificate_of_another_name(sending, serve):
    """The authority is right and the name is not: refused."""
    receiver = serve(names=("other.example.com",))
    outcome = sending.send(receiver.url(), **private())
    assert outcome.failure is Failure.TLS
    assert not receiver.seen


def test_several_authorities(sending, serve):
    """`ca` may hold more than one: the next one too, while an authority is replaced."""
    both = authority("Next").certificate + authority().certificate
    assert sending.send(serve().url(), ca=both).ok
    assert sending.send(serve(signer=authority("Next")).url(), ca=both).ok


# as whom we come --------------------------------------------------------------------------------


def test_a_client_certificate(sending, serve):
    """The receiver sees who is calling; without a certificate nothing arrives."""
    receiver = serve(clients=authority().certificate)
    certificate, key = authority().issue("shop")
    assert sending.send(receiver.url(), **private(certificate, key)).ok
    bare = sending.send(receiver.url(), **private())
    assert bare.failure is Failure.TLS, bare
    assert receiver.clients == ["shop"]


def test_an_expired_client_certificate(sending, serve):
    """The receiver refuses it, and that is a TLS error with its word for it."""
    receiver = serve(clients=authority().certificate)
    certificate, key = authority().issue("shop", ends=timedelta(days=-1))
    outcome = sending.send(receiver.url(), **private(certificate, key))
    assert outcome.failure is Failure.TLS
    assert "expired" in outcome.detail
    assert not receiver.seen


def test_a_client_certificate_of_a_stranger(sending, serve):
    """So is one that the receiver's authority did not sign."""
    receiver = serve(clients=authority().certificate)
    certificate, key = authority("Another").issue("stranger")
    outcome = sending.send(receiver.url(), **private(certificate, key))
    assert outcome.failure is Failure.TLS
    assert not receiver.seen


def test_a_chain_of_certificates(sending, serve):
    """What comes after the client's certificate is sent too."""
    receiver = serve(clients=authority().certificate)
    certificate, key = authority().issue("shop")
    chain = certificate + authority().certificate
    assert sending.send(receiver.url(), **private(chain, key)).ok


def test_identities_on_one_host_do_not_mix(sending, serve):
    """Each request shows its own certificate, whatever connections and handles are lying about."""
    receiver = serve(clients=authority().certificate)
    shops = [private(*authority().issue(f"shop-{n}")) for n in range(3)]
    turns = [0, 1, 2, 0, 0, 1, 2, 1, 0, 2] * 3
    for turn in turns:
        assert sending.send(receiver.url(), **shops[turn]).ok
    assert receiver.clients == [f"shop-{turn}" for turn in turns]
    assert sending.send(receiver.url(), **private()).failure is Failure.TLS
    assert receiver.connections == 3 + 1  # kept, one for each, and the one that failed


def test_identities_at_once(sending, serve):
    """So does each of many at the same time."""
    receiver = serve(clients=authority().certificate)
    shops = [private(*authority().issue(f"shop-{n}")) for n in range(4)]
    for n in range(80):
        body = f"shop-{n % 4}".encode()
        sending.start(receiver.url(), body, tag=n, **shops[n % 4])
    assert all(sending.take()[1].ok for _ in range(80))
    assert len(receiver.seen) == 80
    assert all(client.encode() == body for _, client, _, body in receiver.seen)


def test_an_optional_certificate_is_not_left_behind(sending, serve):
    """A receiver that asks but does not insist sees nobody when nobody is to be shown."""
    receiver = serve(clients=authority().certificate)
    receiver.tls.verify_mode = ssl.CERT_OPTIONAL
    shop = private(*authority().issue("shop"))
    for identity in (shop, private(), shop, private()):
        assert sending.send(receiver.url(), **identity).ok
    assert receiver.clients == ["shop", None, "shop", None]


def test_a_rotated_certificate(sending, serve):
    """The first request after the rotation shows the new one, on a connection of its own."""
    receiver = serve(clients=authority().certificate)
    old, new = (private(*authority().issue(name)) for name in ("old", "new"))
    for identity in (old, old, new, new):
        assert sending.send(receiver.url(), **identity).ok
    assert [(number, client) for number, client, _, _ in receiver.seen] == [
        (1, "old"),
        (1, "old"),
        (2, "new"),
        (2, "new"),
    ]


def test_more_identities_than_are_kept(sending, serve, monkeypatch):
    """What is not used gives way; coming back it is made anew, and right."""
    from hookline._sending import sender

    monkeypatch.setattr(sender, "MOST_POOLS", 2)
    receiver = serve(clients=authority().certificate)
    shops = [private(*authority().issue(f"shop-{n}")) for n in range(4)]
    turns = [0, 1, 2, 3, 0, 1, 2, 3, 3, 2]
    for turn in turns:
        assert sending.send(receiver.url(), **shops[turn]).ok
    assert receiver.clients == [f"shop-{turn}" for turn in turns]
    assert receiver.connections == 8  # the last two were kept


# HTTP/2 -----------------------------------------------------------------------------------------


def test_http2(sending, serve):
    """An endpoint with `http2` is spoken to in HTTP/2; head and body are those of HTTP/1.1."""
    receiver = serve(Http2Receiver, protocols=("h2", "http/1.1"))
    outcome = sending.send(receiver.url(), headers=["X-Own: yes"], **private(http2=True))
    assert outcome.ok, outcome
    assert (outcome.status, outcome.body, outcome.header("x-hello")) == (200, b"ok", "you")
    [(_, _, headers, body)] = receiver.streams
    assert headers[":method"] == "POST"
    assert headers[":authority"] == f"{NAME}:{receiver.port}"
    assert (headers["x-own"], headers["content-type"]) == ("yes", "application/json")
    assert headers["content-length"] == str(len(body))
    assert body == b'{"event":"a.b"}'


def test_http2_is_not_offered_unless_asked_for(sending, serve):
    """Without the option HTTP/1.1 is spoken, also where HTTP/2 was spoken a moment ago."""
    receiver = serve(Http2Receiver, protocols=("h2",))
    assert sending.send(receiver.url(), **private(http2=True)).ok
    assert not sending.send(receiver.url(), **private()).ok
    assert len(receiver.streams) == 1


def test_http2_falls_back(sending, serve):
    """A receiver without HTTP/2 gets HTTP/1.1."""
    receiver = serve()
    assert sending.send(receiver.url(), **private(http2=True)).ok
    assert receiver.first == "POST /hook HTTP/1.1"


def test_http2_shares_a_connection(sending, serve):
    """Requests at the same time go over one connection."""
    receiver = serve(Http2Receiver, protocols=("h2",))
    receiver.gather = 20
    for n in range(20):
        sending.start(receiver.url(), tag=n, **private(http2=True))
    assert all(sending.take()[1].ok for _ in range(20))
    assert receiver.most_open == 20
    assert receiver.connections == 1


def test_http2_shares_no_connection_between_names(sending, serve):
    """Not even a certificate for both names makes one connection serve two (RFC 9113 §9.1.1)."""
    receiver = serve(Http2Receiver, protocols=("h2",), names=(NAME, "other.example.com"))
    for host in (NAME, "other.example.com", NAME):
        assert sending.send(receiver.url(host), **private(http2=True)).ok
    assert [number for number, *_ in receiver.streams] == [1, 2, 1]


def test_http2_shares_no_connection_between_addresses(stack, serve, monkeypatch):
    """A connection to an address serves what was checked to be at that address."""
    from hookline._sending import guard

    monkeypatch.setattr(guard, "FRESH", 0)
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    sending = Sending(lookup=lambda _: answers.pop(0))
    stack.callback(sending.sender.stop)
    receiver = serve(Http2Receiver, protocols=("h2",))
    assert sending.send(receiver.url(), **private(http2=True)).peer == "127.0.0.1"
    moved = sending.send(receiver.url(), **private(http2=True))
    assert moved.failure is Failure.CONNECT  # nobody listens there


def test_http2_with_two_certificates(sending, serve):
    """Multiplexed or not, an identity's requests are on its own connection."""
    receiver = serve(Http2Receiver, protocols=("h2",), clients=authority().certificate)
    shops = [private(*authority().issue(f"shop-{n}"), http2=True) for n in range(2)]
    for n in range(20):
        sending.start(receiver.url(), str(n % 2).encode(), tag=n, **shops[n % 2])
    assert all(sending.take()[1].ok for _ in range(20))
    assert receiver.connections == 2
    assert len({(number, body) for number, _, _, body in receiver.streams}) == 2


def test_http2_answers_are_cut(sending, serve):
    """A large answer ends its stream; the connection goes on."""
    receiver = serve(Http2Receiver, protocols=("h2",))
    receiver.body = bytes(15_000)
    outcomes = [sending.send(receiver.url(), limit=1000, **private(http2=True)) for _ in range(3)]
    assert [(o.status, o.failure, len(o.body)) for o in outcomes] == [(200, None, 1000)] * 3
    assert receiver.connections == 1
