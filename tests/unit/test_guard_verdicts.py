"""Where webhooks may go: URLs, what their names lead to, and the verdict on each."""

import json
from pathlib import Path

import pytest

from hookline._domain.address import Policy, Verdict, judge, remedy
from hookline._domain.url import parse
from hookline._sending.guard import Unresolved, Way, check
from hookline.errors import InvalidInput, InvalidUrl

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "guard.json").read_text("utf-8"))


def verdict(case):
    try:
        url = parse(case["url"])
    except InvalidUrl:
        return "malformed_url"
    options = dict(case.get("policy", {}))
    policy = Policy.of(options.pop("networks", ()), **options)
    way = check(url, policy, lambda _: case["resolves"])
    return way.code if isinstance(way, Verdict) else "allowed"


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case["url"]))
def test_verdict(case):
    """Each URL of the file gets the verdict that stands beside it."""
    assert verdict(case) == case["verdict"]


def test_there_are_enough():
    """The file covers the classes of bypass that are publicly known."""
    assert len(CASES) >= 120
    assert {case["verdict"] for case in CASES} == {
        "allowed",
        "malformed_url",
        "blocked_scheme",
        "blocked_name",
        "blocked_address",
    }


def test_a_verdict_names_the_network():
    """The operator reads which rule it was, and what it would take to allow it."""
    url, policy = parse("https://rebind.example.com/"), Policy.of()
    found = check(url, policy, lambda _: ["93.184.216.34", "10.0.0.7"])
    assert str(found) == "blocked_address: 10.0.0.7 is in private network 10.0.0.0/8"
    assert "allowed_networks" in remedy(found)
    assert "development=True" in remedy(check(parse("https://127.0.0.1/"), policy))


def test_a_name_that_leads_nowhere_is_no_verdict():
    """It may be registered; each attempt looks again."""

    def nowhere(_):
        raise OSError(-2, "Name or service not known")

    url = parse("https://example.com/")
    assert check(url, Policy.of(), nowhere) == Unresolved("Name or service not known")
    assert isinstance(check(url, Policy.of(), lambda _: []), Unresolved)


def test_the_way_keeps_the_order_of_the_addresses():
    """The resolver's order is the order in which they are dialled."""
    way = check(parse("https://example.com/"), Policy.of(), lambda _: ["2606:4700::1", "8.8.8.8"])
    assert isinstance(way, Way)
    assert [way.dial(n) for n in range(2)] == ["::[2606:4700::1]:", "::8.8.8.8:"]


@pytest.mark.parametrize("network", ["10.0.0.1/8", "ten", "10.0.0.0/33", ""])
def test_a_network_that_is_none(network):
    """The setting's value is named."""
    with pytest.raises(InvalidInput, match="allowed_networks: "):
        Policy.of([network])


def test_equal_settings_are_one_policy():
    """What is remembered by policy is not remembered twice."""
    assert Policy.of(["10.0.0.0/8"]) is Policy.of(["10.0.0.0/8"])
    assert Policy.of().widened(["10.0.0.0/8"]) is Policy.of(["10.0.0.0/8"])


def test_an_address_is_judged_without_its_zone():
    """A zone names an interface of this machine, which changes nothing."""
    assert judge("fe80::1%eth0", Policy.of()) is not None
