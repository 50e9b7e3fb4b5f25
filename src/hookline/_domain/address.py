"""May a webhook go there? Addresses, names and schemes, judged. Pure: resolving is done elsewhere.

The lists are carried here, not taken from `ipaddress.is_global`, whose answer differs between
versions of Python and is wrong for several of these (192.0.0.192, 168.63.129.16 and
64:ff9b::a9fe:a9fe on 3.11). Sources: the IANA special-purpose address registries, and the clouds'
own documentation.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NamedTuple

from hookline._domain.url import Url
from hookline._said import Said
from hookline.errors import InvalidInput

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Verdict(NamedTuple):
    """Why nothing is sent: a name that stays the same from release to release, and the reason.

    `blocked_address`, `blocked_name` or `blocked_scheme`. As text: `blocked_address: private
    network 10.0.0.0/8`. This is the operator's; a tenant is told `blocked_destination` only.
    """

    code: str
    reason: str

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


def _named(*rows: tuple[str, str]) -> tuple[tuple[Network, str], ...]:
    return tuple((ip_network(network), name) for network, name in rows)


_IPV4 = _named(
    ("0.0.0.0/8", Said("this network")),
    ("10.0.0.0/8", Said("private network")),
    ("100.64.0.0/10", Said("shared address space of providers")),
    ("127.0.0.0/8", Said("loopback")),
    ("169.254.0.0/16", Said("link-local, cloud metadata")),
    ("172.16.0.0/12", Said("private network")),
    ("192.0.0.0/24", Said("protocol assignments")),
    ("192.0.2.0/24", Said("documentation")),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", Said("AMT relays")),
    ("192.88.99.0/24", Said("6to4 relays")),
    ("192.168.0.0/16", Said("private network")),
    ("192.175.48.0/24", "AS112"),
    ("198.18.0.0/15", Said("benchmarking")),
    ("198.51.100.0/24", Said("documentation")),
    ("203.0.113.0/24", Said("documentation")),
    ("224.0.0.0/4", Said("multicast")),
    ("240.0.0.0/4", Said("reserved")),
    ("168.63.129.16/32", Said("the platform's address on Azure")),
)
_IPV6 = _named(
    ("2001::/23", Said("protocol assignments, Teredo among them")),
    ("2001:db8::/32", Said("documentation")),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "AS112"),
    ("3fff::/20", Said("documentation")),
)
# Those outside of 2000::/3 that have a name worth saying.
_IPV6_OUTSIDE = _named(
    ("::/128", Said("unspecified")),
    ("::1/128", Said("loopback")),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", Said("NAT64 for local use")),
    ("fc00::/7", Said("private network")),
    ("fe80::/10", Said("link-local")),
    ("fec0::/10", Said("site-local")),
    ("ff00::/8", Said("multicast")),
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""The upper half of an interface identifier that carries an IPv4 address (RFC 5214 §6.1)."""
_LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))

_LOCAL_NAMES = frozenset(
    [
        "localhost",
        "local",
        "internal",
        "localdomain",
        "lan",
        "home",
        "corp",
        "intranet",
        "private",
        "arpa",
        "onion",
        "test",
        "invalid",
        "example",
        "alt",
    ]
)
"""Names that never belong to a stranger on the internet: RFC 6761, 6762, 7686, 8375, 9476, and
what company networks use."""


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """What the operator allows beyond the public internet by https.

    `networks`: local ones that may be reached, by address or by any name that leads there only.
    `http`: plain http to public addresses. `nat64`: this machine reaches IPv4 through 64:ff9b::/96.
    Equal settings give the same object.
    """

    networks: tuple[Network, ...] = ()
    http: bool = False
    nat64: bool = False

    @classmethod
    def of(
        cls,
        networks: Iterable[str] = (),
        *,
        development: bool = False,
        http: bool = False,
        nat64: bool = False,
    ) -> "Policy":
        """Return the policy of these settings; `development` allows this machine's loopback."""
        allowed = parse_networks(networks)
        return _policy((*allowed, *_LOOPBACK) if development else allowed, http, nat64)

    def widened(self, networks: Iterable[str]) -> "Policy":
        """Return the policy with an endpoint's own networks added."""
        added = parse_networks(networks)
        return _policy((*self.networks, *added), self.http, self.nat64) if added else self

    def holds(self, address: Address) -> bool:
        """Return whether an address is in one of the allowed local networks."""
        return any(address in network for network in self.networks)


@lru_cache(maxsize=1024)
def _policy(networks: tuple[Network, ...], http: bool, nat64: bool) -> Policy:
    return Policy(networks, http, nat64)


def parse_networks(networks: Iterable[str]) -> tuple[Network, ...]:
    """Return networks, or raise InvalidInput naming the first that is none."""
    if isinstance(networks, str):
        raise InvalidInput(
            Said("allowed_networks: expected a list, got the text {got}", got=repr(networks))
        )
    found = []
    for text in networks:
        try:
            found.append(ip_network(text))
        except ValueError as error:
            raise InvalidInput(
                Said(
                    "allowed_networks: {text!r} is not a network such as 10.0.0.0/8: {error}",
                    text=text,
                    error=str(error),
                )
            ) from None
    return tuple(found)


def judge_url(url: Url, policy: Policy) -> Verdict | None:
    """Return why nothing is ever sent to a URL, None when its host may be resolved.

    A literal address is judged here for good, a name by what it leads to later.
    """
    if url.scheme == "http" and not policy.http and not policy.networks:
        return Verdict("blocked_scheme", Said("plain http; use https"))
    literal = literal_address(url)
    if literal is not None:
        return judge(literal, policy, local_only=local_only(url, policy))
    if is_local_name(url.host) and not policy.networks:
        return Verdict("blocked_name", _local_name(url.host))
    return None


def remedy(verdict: Verdict) -> str:
    """Return what an operator can do about a verdict."""
    if "loopback" in verdict.reason or "localhost" in verdict.reason:
        return Said("For a receiver on this machine set development=True (HOOKLINE_DEVELOPMENT=1)")
    if verdict.code == "blocked_scheme":
        return Said(
            "For a receiver on this machine set development=True (HOOKLINE_DEVELOPMENT=1), for one "
            "in a local network allowed_networks, for plain http in general allow_http"
        )
    return Said(
        "To send into a local network, name it in allowed_networks (HOOKLINE_ALLOWED_NETWORKS)"
    )


def judge_all(url: Url, addresses: Iterable[str], policy: Policy) -> Verdict | None:
    """Return why a URL is blocked whose host leads to these addresses: one bad one is enough."""
    restricted = local_only(url, policy)
    for text in addresses:
        verdict = judge(text, policy, local_only=restricted)
        if verdict is not None and verdict is restricted:
            said = Said("{reason} (it leads to {address})", reason=verdict.reason, address=text)
            return Verdict(verdict.code, said)
        if verdict is not None:
            said = Said("{address} is in {reason}", address=text, reason=verdict.reason)
            return Verdict(verdict.code, said)
    return None


def local_only(url: Url, policy: Policy) -> Verdict | None:
    """Return what a URL is refused for unless it leads into an allowed local network."""
    if url.scheme == "http" and not policy.http:
        return Verdict(
            "blocked_scheme", Said("plain http is for allowed local networks; use https")
        )
    if literal_address(url) is None and is_local_name(url.host):
        return Verdict("blocked_name", _local_name(url.host))
    return None


def literal_address(url: Url) -> str | None:
    """Return the address a URL names itself, None when its host is a name."""
    if url.host.startswith("["):
        return url.host[1:-1]
    return url.host if url.host[-1].isdigit() and _is_ipv4(url.host) else None


def is_local_name(host: str) -> bool:
    """Return whether a name is a single label, or ends in one that is for local use."""
    _, dot, last = host.rpartition(".")
    return not dot or last in _LOCAL_NAMES


def _local_name(host: str) -> str:
    if "." not in host and host not in _LOCAL_NAMES:
        return Said("{host!r} is a single label, a name of a local network", host=host)
    return Said("{host!r} is a name for local use", host=host)


def _is_ipv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def judge(text: str, policy: Policy, *, local_only: Verdict | None = None) -> Verdict | None:
    """Return why an address is blocked, None when it is allowed.

    `local_only`: the verdict for an address that is in no allowed local network.
    """
    address = ip_address(text.partition("%")[0])  # a zone says nothing that matters here
    while True:
        if policy.holds(address):
            return None
        inner = _inner(address, policy)
        if inner is None:
            break
        address = inner
    if local_only is not None:
        return local_only
    blocked = _blocked(address)
    return None if blocked is None else Verdict("blocked_address", blocked)


def _inner(address: Address, policy: Policy) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 one really means."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if policy.nat64 and address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


@lru_cache(maxsize=4096)
def _blocked(address: Address) -> str | None:
    """Return what a blocked address is part of."""
    if isinstance(address, IPv4Address):
        return _part_of(address, _IPV4)
    if address not in _GLOBAL_UNICAST:
        return _part_of(address, _IPV6_OUTSIDE) or Said("outside of 2000::/3, the public internet")
    if int(address) >> 32 & 0xFFFF_FFFF in _ISATAP:
        inside = _blocked(IPv4Address(int(address) & 0xFFFF_FFFF))
        if inside is not None:
            return Said("ISATAP for {inside}", inside=inside)
    return _part_of(address, _IPV6)


def _part_of(address: Address, networks: Iterable[tuple[Network, str]]) -> str | None:
    for network, name in networks:
        if address in network:
            return Said("{name} {network}", name=name, network=str(network))
    return None
