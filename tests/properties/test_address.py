"""The guard's lists against Python's own, for any address."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from hookline._domain.address import Policy, judge

NOBODY = Policy.of()
ADDRESSES = st.ip_addresses()
NETWORKS = st.ip_addresses().flatmap(
    lambda a: st.integers(1, a.max_prefixlen).map(lambda n: ip_network((a, n), strict=False))
)


@given(ADDRESSES)
def test_what_python_calls_special_is_blocked(address):
    """We block at least what `ipaddress` knows to be special; it calls all mapped IPv4 so."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert judge(str(address), NOBODY) is not None


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_public(address):
    """Nothing of IPv6 outside of 2000::/3 is allowed, but mapped IPv4."""
    if judge(str(address), NOBODY) is None:
        assert address in ip_network("2000::/3") or address.ipv4_mapped is not None


@given(st.ip_addresses(v=4))
def test_ipv4_inside_of_ipv6_is_judged_as_what_it_is(address):
    """A mapped address, and with `nat64` a translated one, has the verdict of the IPv4 inside."""
    alone = judge(str(address), NOBODY)
    mapped = IPv6Address(0xFFFF << 32 | int(address))
    translated = IPv6Address(0x64FF9B << 96 | int(address))
    assert judge(str(mapped), NOBODY) == alone
    assert judge(str(translated), NOBODY) is not None
    assert judge(str(translated), Policy.of(nat64=True)) == alone


@given(st.ip_addresses(v=4))
def test_isatap_does_not_hide_a_blocked_address(address):
    """An interface identifier that carries a blocked IPv4 address is blocked with it."""
    carrier = IPv6Address((0x2606_4700 << 96) | (0x5EFE << 32) | int(address))
    assert (judge(str(carrier), NOBODY) is None) == (judge(str(address), NOBODY) is None)


@given(ADDRESSES, NETWORKS)
def test_an_allowed_network_allows_its_addresses_and_no_others(address, network):
    """What is inside is allowed, what is outside has the verdict it had."""
    policy = Policy.of([str(network)])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    inside = address in network or (mapped is not None and mapped in network)
    expected = None if inside else judge(str(address), NOBODY)
    assert judge(str(address), policy) == expected


@given(st.integers(0, 2**32 - 1))
def test_every_ipv4_address_has_a_verdict(number):
    """Judging never fails."""
    assert judge(str(IPv4Address(number)), NOBODY) is None or ip_address(number)
