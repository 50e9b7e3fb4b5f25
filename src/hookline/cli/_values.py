"""Values people type on the command line."""

import ipaddress
import re

import typer

from hookline._domain.listening import parse_place
from hookline.errors import InvalidInput

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h)?", re.ASCII)


def duration(text: str) -> float:
    """Return seconds: `250ms`, `2s`, `1m`, `1.5h`; a bare number counts seconds."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise typer.BadParameter(f"{text!r} is no duration; write 250ms, 2s, 1m or 1h")
    return float(match[1]) * _UNITS[match[2] or "s"]


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach the address."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_address(host: str) -> bool:
    """Tell whether this is an IP address, not a name that DNS may point anywhere."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def address(text: str, option: str) -> tuple[str, int]:
    """Return where to listen: `8081` on loopback, `0.0.0.0:8081`, `[::]:8081`."""
    try:
        return parse_place(text)
    except InvalidInput as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
