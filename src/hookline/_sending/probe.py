"""Can the endpoints' hosts be connected to? TCP and TLS, no request."""

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress
from socket import gaierror

from hookline._domain.url import Url, parse
from hookline.errors import InvalidUrl

DEADLINE = 5.0
"""Seconds for one host: name, TCP and TLS."""
AT_ONCE = 20


async def probe(urls: Iterable[str], *, deadline: float = DEADLINE) -> dict[str, str]:
    """Connect to each distinct host of the URLs; return why those that failed did, by address."""
    origins = {}
    for url in urls:
        with suppress(InvalidUrl):
            parsed = parse(url)
            origins[parsed.scheme, parsed.host, parsed.port] = parsed
    free = asyncio.Semaphore(AT_ONCE)
    trust = ssl.create_default_context()

    async def one(url: Url) -> str:
        async with free:
            return await _connect(url, trust, deadline)

    reasons = await asyncio.gather(*map(one, origins.values()))
    addresses = (f"{scheme}://{host}:{port}" for scheme, host, port in origins)
    return {address: why for address, why in zip(addresses, reasons, strict=True) if why}


async def _connect(url: Url, trust: ssl.SSLContext, deadline: float) -> str:
    """Connect and hang up; return why that failed, '' when it did not."""
    try:
        async with asyncio.timeout(deadline):
            _, writer = await asyncio.open_connection(
                url.host.strip("[]"), url.port, ssl=trust if url.scheme == "https" else None
            )
    except TimeoutError:
        return f"no answer within {deadline:g} s"
    except gaierror:
        return "the name cannot be resolved"
    except ConnectionRefusedError:
        return "connection refused"
    except ssl.SSLCertVerificationError as error:
        return f"the certificate is refused: {error.verify_message}"
    except ssl.SSLError as error:
        return f"TLS failed: {error.reason or error}"
    except OSError as error:
        return (error.strerror or str(error) or type(error).__name__).lower()
    writer.close()
    with suppress(OSError, TimeoutError):  # it answered: how it hangs up is of no interest
        async with asyncio.timeout(deadline):
            await writer.wait_closed()
    return ""
