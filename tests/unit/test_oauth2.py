"""OAuth2 client credentials: what is asked, and which answers are taken for a token."""

import base64
from urllib.parse import parse_qs

import pytest

from hookline._domain.delivery import Failure, Outcome
from hookline._domain.oauth2 import LONGEST, MAX_ANSWER, UNSAID, OAuth2, Token, read
from hookline.errors import InvalidInput, InvalidUrl

GIVEN = {
    "token_url": "https://login.example.com/token",
    "client_id": "shop",
    "client_secret": "p@ss:w0rd +/",
}


def answered(body, status=200):
    return Outcome(status=status, body=body if isinstance(body, bytes) else body.encode())


# asking -----------------------------------------------------------------------------------------


def test_credentials_in_the_header():
    """`basic`, the default: form-encoded, then base64 (RFC 6749 §2.3.1)."""
    lines, body = OAuth2.of(GIVEN).ask()
    [basic] = [line for line in lines if line.startswith("Authorization: Basic ")]
    assert base64.b64decode(basic.split()[2]) == b"shop:p%40ss%3Aw0rd+%2B%2F"
    assert body == b"grant_type=client_credentials"


def test_credentials_in_the_body():
    """`body`: beside scope, audience and whatever else the server wants."""
    given = {
        **GIVEN,
        "auth": "body",
        "scope": "a b",
        "audience": "https://api",
        "params": {"resource": "x"},
    }
    lines, body = OAuth2.of(given).ask()
    assert not any(line.startswith("Authorization") for line in lines)
    assert {k: v[0] for k, v in parse_qs(body.decode()).items()} == {
        "grant_type": "client_credentials",
        "client_id": "shop",
        "client_secret": "p@ss:w0rd +/",
        "scope": "a b",
        "audience": "https://api",
        "resource": "x",
    }


def test_it_is_stored_as_it_was_given():
    """What comes back from the database asks the same."""
    for given in (GIVEN, {**GIVEN, "auth": "body", "scope": "a", "params": {"b": "1", "a": "2"}}):
        first = OAuth2.of(given)
        assert OAuth2.of(first.stored()) == first


def test_no_secret_in_a_repr():
    """Neither the client's nor a token."""
    assert "w0rd" not in repr(OAuth2.of({**GIVEN, "params": {"pin": "w0rd"}}))
    assert "abc" not in repr(Token("abc", 1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"token_url": None}, "oauth2.token_url: is missing"),
        ({"client_secret": None}, "oauth2.client_secret: is missing"),
        ({"scopes": "a"}, "oauth2: unknown key 'scopes'; known are token_url, client_id"),
        ({"client_id": "a\r\nb"}, "oauth2.client_id: expected visible ASCII"),
        ({"client_secret": "geheim\n"}, "oauth2.client_secret: expected visible ASCII"),
        ({"client_secret": "géheim"}, "oauth2.client_secret: expected visible ASCII"),
        ({"client_secret": 5}, "oauth2.client_secret: expected text, got int"),
        ({"scope": ""}, "oauth2.scope: 0 characters"),
        ({"auth": "post"}, "oauth2.auth: expected 'basic' or 'body'"),
        ({"auth": ["basic"]}, "oauth2.auth: expected 'basic' or 'body'"),
        ({"params": {"grant_type": "password"}}, "oauth2.params: 'grant_type' is said otherwise"),
        ({"params": {"a": 1}}, "oauth2.params.a: expected text"),
        ({"params": [1]}, "oauth2.params: expected an object of 20 texts"),
        ({"params": {str(n): "x" for n in range(21)}}, "oauth2.params: expected an object of 20"),
        ({"ca": "nonsense"}, "oauth2.ca: no -----BEGIN CERTIFICATE-----"),
    ],
)
def test_what_cannot_be_asked(change, words):
    """Each refusal names the key, and never what a secret was."""
    with pytest.raises(InvalidInput) as told:
        OAuth2.of({**GIVEN, **change})
    assert words in str(told.value)
    assert "heim" not in str(told.value)


@pytest.mark.parametrize("url", ["ftp://login.example.com", "https://u:p@login.example.com/", 5])
def test_a_token_url_that_is_none(url):
    """It goes through the one parser."""
    with pytest.raises(InvalidUrl, match=r"oauth2\.token_url: "):
        OAuth2.of({**GIVEN, "token_url": url})


@pytest.mark.parametrize("given", ["text", 5, ["token_url"]])
def test_no_object(given):
    """The option is an object."""
    with pytest.raises(InvalidInput, match="oauth2: expected an object"):
        OAuth2.of(given)


# the answer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ('{"access_token":"abc","token_type":"Bearer","expires_in":3600}', 3570),
        ('{"access_token":"abc","token_type":"bearer","expires_in":"3600"}', 3570),
        ('{"access_token":"abc","token_type":"BEARER","expires_in":100}', 90),
        ('{"access_token":"abc","token_type":"Bearer","expires_in":10.5}', 9.45),
        ('{"access_token":"abc","token_type":"Bearer"}', UNSAID - 30),
        ('{"access_token":"abc"}', UNSAID - 30),
        ('{"access_token":"abc","expires_in":null}', UNSAID - 30),
        ('{"access_token":"abc","expires_in":0}', 0),
        ('{"access_token":"abc","expires_in":1e999}', LONGEST - 30),
        ('{"access_token":"abc","expires_in":1' + "0" * 400 + "}", LONGEST - 30),
        ('{"access_token":"abc","more":{"a":[1]}}', UNSAID - 30),
    ],
)
def test_a_token(body, seconds):
    """It is used until shortly before its end: 30 seconds, or a tenth of a short life."""
    found = read(answered(body))
    assert isinstance(found, Token)
    assert (found.text, round(found.seconds, 3)) == ("abc", seconds)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "did not answer with a JSON object"),
        ("token", "did not answer with a JSON object"),
        ("access_token=abc", "did not answer with a JSON object"),
        ("[]", "did not answer with a JSON object"),
        (b"\xff\xfe", "did not answer with a JSON object"),
        ("[" * 100_000, "more than"),
        ("[" * 50_000, "did not answer with a JSON object"),
        ('{"access_token":"abc","access_token":"abd"}', "did not answer with a JSON object"),
        ('{"access_token":"abc","expires_in":NaN}', "did not answer with a JSON object"),
        ('{"access_token":"abc","expires_in":' + "9" * 5000 + "}", "did not answer with a JSON"),
        ('{"token":"abc"}', "has no access_token"),
        ('{"access_token":""}', "has no access_token"),
        ('{"access_token":5}', "has no access_token"),
        ('{"access_token":"abc\\r\\nX-Evil: 1"}', "is no header value"),
        ('{"access_token":"abc def"}', "is no header value"),
        ('{"access_token":"ab\\u0000c"}', "is no header value"),
        ('{"access_token":"abc\\u00e9"}', "is no header value"),
        ('{"access_token":"' + "a" * 8193 + '"}', "is no header value"),
        ('{"access_token":"abc","token_type":"mac"}', "token_type is not Bearer"),
        ('{"access_token":"abc","token_type":5}', "token_type is not Bearer"),
        ('{"access_token":"abc","expires_in":-1}', "expires_in is not a number"),
        ('{"access_token":"abc","expires_in":"soon"}', "expires_in is not a number"),
        ('{"access_token":"abc","expires_in":true}', "expires_in is not a number"),
        (b'{"access_token":"abc"}' + b" " * MAX_ANSWER, "more than"),
    ],
)
def test_no_token(body, words):
    """Anything else is refused; the reason has nothing of what came."""
    found = read(answered(body))
    assert isinstance(found, str)
    assert words in found
    assert "abc" not in found
    assert "Evil" not in found


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (
            Outcome(401, Failure.STATUS, body=b'{"error":"invalid_client"}'),
            "the token endpoint: HTTP 401 invalid_client",
        ),
        (
            Outcome(400, Failure.STATUS, body=b'{"error":"your secret was: geheim"}'),
            "the token endpoint: HTTP 400",
        ),
        (Outcome(500, Failure.STATUS, body=b"<html>"), "the token endpoint: HTTP 500"),
        (Outcome(400, Failure.STATUS, body=b'{"error":["x"]}'), "the token endpoint: HTTP 400"),
        (
            Outcome(302, Failure.REDIRECT),
            "the token endpoint: HTTP 302 (redirects are not followed)",
        ),
        (Outcome(failure=Failure.TIMEOUT), "the token endpoint: Request timeout"),
        (
            Outcome(failure=Failure.BLOCKED, detail="blocked_address: loopback 127.0.0.0/8"),
            "the token endpoint: Destination blocked (blocked_address: loopback 127.0.0.0/8)",
        ),
    ],
)
def test_a_failure(outcome, reason):
    """The reason names it; of the answer only the words of RFC 6749 are repeated."""
    assert read(outcome) == reason
