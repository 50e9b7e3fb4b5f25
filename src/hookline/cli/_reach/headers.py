"""Headers of an endpoint, which a server tells only when it is asked for them."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from hookline.cli._reach.remote import RemoteApplication

if TYPE_CHECKING:
    from hookline import Endpoint
    from hookline.cli._reach.protocol import Reach


async def headers_of(reach: "Reach", found: "Endpoint") -> Mapping[str, str]:
    """Return the headers of an endpoint; a server masks those that look sensitive."""
    if isinstance(reach, RemoteApplication):
        return await reach.headers(found)
    return found.headers


async def change_headers(
    reach: "Reach", found: "Endpoint", new: Mapping[str, str], gone: Collection[str]
) -> None:
    """Set some headers of an endpoint, and take others away."""
    if isinstance(reach, RemoteApplication):
        await reach.change_headers(found, new, gone)
        return
    replaced = {name.lower() for name in (*gone, *new)}
    kept = {n: value for n, value in found.headers.items() if n.lower() not in replaced}
    await reach.update_endpoint(found.id or "", headers={**kept, **new})
