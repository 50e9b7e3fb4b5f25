"""What is wrong with what came in: English for everybody, and Chinese for who reads Chinese."""

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline._domain import check, forms, headers, oauth2, options, retry
from hookline._domain.address import Policy, judge_all, judge_url, remedy
from hookline._domain.api_key import checked_scopes
from hookline._domain.application import checked_uid
from hookline._domain.endpoint import Catalogue
from hookline._domain.expression import check_filter, check_transform
from hookline._domain.identity import parse_proxy
from hookline._domain.signature import check_secret
from hookline._domain.url import parse
from hookline._said import Said
from hookline._web.dashboard.words import retold
from hookline.errors import BlockedDestination, InvalidExpression, InvalidInput

CHINESE = re.compile("[\u4e00-\u9fff]")
EVIL = "{host!r} {0} {} <b>\u202e"
GRANT = {"token_url": "https://a.example.com/", "client_id": "a", "client_secret": "b"}

WRONG = [
    (lambda: parse("ftp://a.example"), "url: scheme 'ftp' is not supported; use https (or http)"),
    (
        lambda: parse("https://{host}/"),
        "url: host '{host}' is not a valid name",
    ),
    (lambda: headers.check({"Host": "a"}), "header 'Host': is reserved and cannot be set by an "),
    (
        lambda: headers.check({"X-A": "1", "x-a": "2"}),
        "header 'x-a': given twice (as 'X-A')",
    ),
    (lambda: check_secret("whsec_a!"), "secret: 'whsec_' must be followed by base64"),
    (lambda: check_secret("whsk_QQ=="), "secret: a whsk_ key has 64 bytes, the seed and the "),
    (
        lambda: forms.parse(["gihub"]),
        "signatures: 'gihub': did you mean 'github'? Known are guide, standard, svix, ed25519, ",
    ),
    (
        lambda: forms.parse(["?"]),
        "signatures: '?': there is no such form. Known are guide, standard, ",
    ),
    (lambda: retry.check([-1]), "retry_schedule: -1.0 is not between 0 and 30 days in seconds"),
    (
        lambda: check.number("rate_limit", 1e9, 0.001, 100_000),
        "rate_limit: 1000000000.0 is not between 0.001 and 100,000",
    ),
    (
        lambda: options.checked({"channels": ["é"]}),
        "channels: expected 1 to 128 of A-Z a-z 0-9 - _ . :, got 'é'",
    ),
    (
        lambda: checked_uid(EVIL, "app_"),
        f"uid: expected 1 to 256 of A-Z a-z 0-9 - _ ., got {EVIL!r}",
    ),
    (lambda: checked_scopes(["x"]), "scopes: 'x' is not admin, read or application:<id>"),
    (
        lambda: Catalogue(["a.b", "a.c"]).event_type("a.d"),
        "unknown event type 'a.d'; did you mean 'a.c' or 'a.b'?",
    ),
    (
        lambda: Catalogue(["a.b"]).event_type("zzzzzz"),
        "unknown event type 'zzzzzz'; did you mean one of a.b?",
    ),
    (
        lambda: oauth2.OAuth2.of({**GRANT, "token_url": "https://a b/"}),
        "oauth2.token_url: contains the control or space character ' '",
    ),
    (
        lambda: oauth2.OAuth2.of({**GRANT, "ca": "x"}),
        "oauth2.ca: no -----BEGIN CERTIFICATE-----; expected the text of a PEM file",
    ),
    (
        lambda: parse_proxy("ftp://a.example:1"),
        "proxy: scheme 'ftp' is not supported; expected http://, https:// or socks5://[user:",
    ),
    (lambda: check_filter("a ="), "filter: position 3: unexpected '='"),
    (lambda: check_filter("  "), "filter: is empty"),
    (
        lambda: check_filter("lenght(a)"),
        "filter: position 1: there is no function lenght; did you mean length?",
    ),
    (lambda: check_filter("abs(a, b)"), "filter: position 1: abs takes 1 argument, 2 given"),
    (
        lambda: check_filter("contains(a)"),
        "filter: position 1: contains takes 2 arguments, 1 given",
    ),
    (
        lambda: check_filter("a == `{`"),
        "filter: position 6: `{` is no JSON; for text write '{'",
    ),
    (
        lambda: check_filter('a == "{x}"'),
        "filter: position 6: \"{x}\" in double quotes names a field; for text write '{x}', for ",
    ),
    (
        lambda: check_transform("a == b"),
        "transform: makes true or false, expected an object: {text: data.name}",
    ),
]


def _raised(wrong):
    found = _wrong(wrong)
    assert found is not None
    return found


def _wrong(work, *given):
    """Return what is raised for what is given, None when nothing is wrong with it."""
    try:
        work(*given)
    except InvalidInput as error:
        return error
    return None


def _in_chinese(error):
    said = error.args[0]
    assert isinstance(said, Said), said
    return retold("zh-CN", said)


@pytest.mark.parametrize(("wrong", "english"), WRONG, ids=[english for _, english in WRONG])
def test_both_are_said(wrong, english):
    """English is the message; the name of what is wrong is the same in Chinese."""
    error = _raised(wrong)
    assert str(error).startswith(english)
    chinese = _in_chinese(error)
    assert CHINESE.search(chinese)
    named = re.match("(?:header )?(.*?): ", english)
    assert named is None or named[1] in chinese
    assert "did you mean" not in chinese
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - ours
    assert (str(copy), _in_chinese(copy)) == (str(error), chinese)


def test_sentences_within_sentences():
    """Also as deep as a hint in an expression goes."""
    assert _in_chinese(_raised(lambda: check_filter("mx(a)"))) == (
        "filter：第 1 个字符：没有函数 mx；您是想写 max 或 max_by 吗？"
    )
    assert _in_chinese(_raised(lambda: Catalogue(["a.b", "a.c"]).event_type("a.d"))) == (
        "未知的事件类型 'a.d'；您是想写 'a.c' 或 'a.b' 吗？"
    )
    assert _in_chinese(_raised(lambda: forms.parse(["?"]))).startswith(
        "signatures：'?'：没有这种签名形式。可用的有 guide"
    )


@pytest.mark.parametrize(
    ("url", "english", "chinese"),
    [
        ("https://10.1.2.3/", "private network 10.0.0.0/8", "私有网络 10.0.0.0/8"),
        ("https://[::1]/", "loopback ::1/128", "环回地址 ::1/128"),
        ("https://intranet/", "'intranet' is a name for local use", "是本地使用的名称"),
        ("https://a/", "'a' is a single label, a name of a local", "'a' 只有一段"),
        ("http://example.com/", "plain http; use https", "未加密的 http；请用 https"),
    ],
)
def test_verdicts_of_the_guard(url, english, chinese):
    """What is blocked, and what an operator can do about it."""
    verdict = judge_url(parse(url), Policy())
    assert verdict.reason.startswith(english)
    assert chinese in retold("zh-CN", verdict.reason)
    assert CHINESE.search(retold("zh-CN", remedy(verdict)))


def test_a_name_that_leads_into_a_network():
    """The address is as it is, what is said of it is not."""
    verdict = judge_all(parse("https://example.com/"), ["192.168.0.1"], Policy())
    assert str(verdict) == "blocked_address: 192.168.0.1 is in private network 192.168.0.0/16"
    assert retold("zh-CN", verdict.reason) == "192.168.0.1 属于私有网络 192.168.0.0/16"


def test_what_came_is_cut_in_both():
    """A message has 200 characters of it at most."""
    error = _raised(lambda: checked_uid("{" * 500, "app_"))
    assert len(str(error)) == 200
    kept = str(error).partition("got ")[2]
    assert kept == "'" + "{" * (len(kept) - 1)
    assert _in_chinese(error).partition("收到的是 ")[2] == kept


@pytest.mark.parametrize(
    "error",
    [
        BlockedDestination(Said("url: {code}", code="x"), ("x", "y")),
        InvalidExpression(Said("unexpected {text!r}", text="x"), 3, "filter"),
        InvalidExpression("plain"),
    ],
)
def test_errors_of_several_parts_keep_it_in_another_process(error):
    """As `concurrent.futures` hands them over."""
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - ours
    assert (str(copy), copy.args[0].values) == (str(error), error.args[0].values)


@given(
    st.text(max_size=40).map(lambda text: f"https://{text}")
    | st.from_regex(r"[a-z]{1,6}://[^/]{1,12}/.{0,12}")
    | st.text(max_size=80)
)
def test_every_wrong_url_is_said_in_chinese(text):
    """Whatever was typed: it is a value, never a pattern."""
    error = _wrong(parse, text)
    if error is not None:
        assert CHINESE.search(_in_chinese(error))
        assert retold("en", error.args[0]) == str(error)


@given(st.text(max_size=30), st.text(max_size=30))
def test_every_wrong_header_is_said_in_chinese(name, value):
    """As it is typed, with braces or without; the value is in neither."""
    error = _wrong(headers.check, {name: value})
    assert error is None or CHINESE.search(_in_chinese(error))


@given(st.text(alphabet="abc.[]{}()`'\"&|!=<>*,@ 0", max_size=20))
def test_every_wrong_expression_is_said_in_chinese(text):
    """Brackets and quotes in all orders."""
    error = _wrong(check_filter, text)
    assert error is None or CHINESE.search(_in_chinese(error))
