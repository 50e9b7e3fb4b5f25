"""Values people type on the command line."""

import ipaddress
import re
from datetime import UTC, datetime, timedelta

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


_AGO = re.compile(r"(\d{1,6})(s|m|h|d|w)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def moment(text: str, *, ahead: bool = False) -> datetime:
    """Return a time: `2h` (ago, or `ahead` of now), `2025-10-17`, `2025-10-17T10:30`, with `Z`.

    Without a zone it is local.
    """
    match = _AGO.fullmatch(text.strip())
    if match:
        distance = timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
        return datetime.now(UTC) + (distance if ahead else -distance)
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(
            f"{text!r} is no time; write 30m, 2h or 7d, or 2025-10-17T10:30 (local, Z for UTC)"
        ) from None


def past(text: str | datetime) -> datetime:
    """Return a time that a bare duration puts before now."""
    return text if isinstance(text, datetime) else moment(text)


def coming(text: str | datetime) -> datetime:
    """Return a time that a bare duration puts after now."""
    return text if isinstance(text, datetime) else moment(text, ahead=True)


def pair(text: str, option: str, separator: str, example: str) -> tuple[str, str]:
    """Return a name and its value: `plan=gold`, `X-Key: abc`."""
    name, found, value = text.partition(separator)
    if not found or not name.strip():
        raise typer.BadParameter(f"{text!r}: write {example}", param_hint=option)
    return name.strip(), value.strip()
