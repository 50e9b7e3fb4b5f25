"""Can the endpoints' hosts be connected to? TCP and TLS, no request. Guarded as deliveries are."""

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress

from hookline._domain.address import Policy, Verdict
from hookline._domain.url import Url, parse
from hookline._sending.guard import Unresolved, check
from hookline.errors import InvalidUrl

DEADLINE = 5.0
"""Seconds for one host: name, TCP and TLS."""
AT_ONCE = 20


async def probe(
    urls: Iterable[tuple[str, Policy, str | None]], *, deadline: float = DEADLINE
) -> dict[str, str]:
    """Connect to each distinct host of the URLs; return why those that failed did, by address.

    With each URL comes the authority (PEM) that must have signed for it, None for the system's.
    """
    origins: dict[tuple[str, str, int, Policy, str | None], Url] = {}
    for url, policy, ca in urls:
        with suppress(InvalidUrl):
            parsed = parse(url)
            origins[parsed.scheme, parsed.host, parsed.port, policy, ca] = parsed
    free = asyncio.Semaphore(AT_ONCE)
    trusts = {ca: _trust(ca) for *_, ca in origins}

    async def one(url: Url, policy: Policy, trust: ssl.SSLContext) -> str:
        async with free:
            try:
                async with asyncio.timeout(deadline):
                    return await _connect(url, policy, trust)
            except TimeoutError:
                return f"no answer within {deadline:g} s"

    tries = (one(url, policy, trusts[ca]) for (*_, policy, ca), url in origins.items())
    reasons = await asyncio.gather(*tries)
    addresses = (f"{scheme}://{host}:{port}" for scheme, host, port, *_ in origins)
    return {address: why for address, why in zip(addresses, reasons, strict=True) if why}


def _trust(ca: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca)
    if ca is not None:  # as libcurl does: any certificate that is trusted ends the chain
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


async def _connect(url: Url, policy: Policy, trust: ssl.SSLContext) -> str:
    """Connect and hang up; return why that failed, '' when it did not."""
    way = await asyncio.to_thread(check, url, policy)
    if isinstance(way, Verdict):
        return str(way)
    if isinstance(way, Unresolved):
        return f"the name cannot be resolved: {way.reason}"
    why = ""
    for address in way.addresses:
        why = await _dial(url, address, trust)
        if not why:
            break
    return why


async def _dial(url: Url, address: str, trust: ssl.SSLContext) -> str:
    secure = url.scheme == "https"
    try:
        _, writer = await asyncio.open_connection(
            address,
            url.port,
            ssl=trust if secure else None,
            server_hostname=url.host.strip("[]") if secure else None,
        )
    except ConnectionRefusedError:
        return "connection refused"
    except ssl.SSLCertVerificationError as error:
        return f"the certificate is refused: {error.verify_message}"
    except ssl.SSLError as error:
        return f"TLS failed: {error.reason or error}"
    except OSError as error:
        return (error.strerror or str(error) or type(error).__name__).lower()
    writer.transport.abort()  # it answered: how it hangs up is of no interest
    return ""
