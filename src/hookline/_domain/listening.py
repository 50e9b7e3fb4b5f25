"""Where a server listens, and where people reach it."""

import re

from hookline.errors import InvalidInput

LOOPBACK = "127.0.0.1"
_URL = re.compile(r"https?://[^\s/?#@\\]+(/[^\s?#\\]*)?", re.ASCII)


def parse_place(text: str) -> tuple[str, int]:
    """Return host and port: `8081` on loopback, `0.0.0.0:8081`, `[::]:8081`."""
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if colon else LOOPBACK
    if not host or not (port.isascii() and port.isdigit() and int(port) <= 65535):  # noqa: PLR2004
        raise InvalidInput(f"{text!r} is no place to listen; write 8081 or 0.0.0.0:8081")
    return host, int(port)


def check_place(text: str) -> None:
    """Raise InvalidInput for what is no place to listen."""
    try:
        parse_place(text)
    except InvalidInput as error:
        raise InvalidInput(f"listen: {error}") from None


def check_public_url(text: str) -> None:
    """Raise InvalidInput for what is no address of a server; empty is none."""
    if text and not _URL.fullmatch(text):
        raise InvalidInput(
            f"public_url: {text!r} is no address of a server, such as https://hooks.example.com"
        )
