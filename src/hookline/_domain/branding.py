"""How the customer portal looks, and where it may be shown: settings judged, colours made readable.

What is written into a Content-Security-Policy is one of a few shapes, so nothing ends a directive.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hookline.errors import InvalidInput

MAX_NAME = 60
MAX_LOGO = 64 << 10
READABLE = 4.5
"""Contrast that text needs (WCAG 2.2, 1.4.3, level AA)."""
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_ORIGIN = re.compile(rf"https://{_HOST}(?::\d{{1,5}})?", re.ASCII)
_LOCAL = re.compile(r"http://(?:localhost|127\.0\.0\.1)(?::\d{1,5})?", re.ASCII)
_LOGO_URL = re.compile(rf"(https://{_HOST}(?::\d{{1,5}})?)/[\w\-./~%?=&+]*", re.ASCII)
_LOGO_DATA = re.compile(
    r"data:image/(?:png|svg\+xml|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2}", re.ASCII
)
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}", re.ASCII)
_GROUNDS = {
    "light": ((0xFF, 0xFF, 0xFF), (0xF6, 0xF7, 0xF8), (0xEE, 0xF1, 0xF3)),
    "dark": ((0x17, 0x1E, 0x26), (0x0F, 0x14, 0x19), (0x1E, 0x27, 0x30)),
}
"""What links stand on: cards, the page, and what the pointer is over."""
_STEPS, _TINT = 100, 0.1
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)

Rgb = tuple[int, int, int]


class Palette(NamedTuple):
    """Colours as CSS has them: of links and buttons, of text on those, and of a ground."""

    accent: str
    ink: str
    tint: str


def check_origins(origins: Iterable[str]) -> None:
    """Raise InvalidInput for what is no origin; plain http only on this machine."""
    for origin in origins:
        if not (_ORIGIN.fullmatch(origin) or _LOCAL.fullmatch(origin)):
            raise InvalidInput(
                f"portal_origins: {origin!r} is no origin; write https://app.example.com, in lower "
                "case, without a path or a star (http:// for localhost only)"
            )


def check_name(name: str) -> None:
    """Raise InvalidInput for a name that is too long, or has what cannot be seen."""
    if len(name) > MAX_NAME or not name.isprintable():
        raise InvalidInput(f"portal_name: expected at most {MAX_NAME} visible characters")


def check_colour(colour: str) -> None:
    """Raise InvalidInput for what is no colour; empty is none."""
    if colour and not _COLOUR.fullmatch(colour):
        raise InvalidInput(f"portal_colour: {colour!r} is no colour such as #3355cc")


def check_logo(logo: str) -> None:
    """Raise InvalidInput for what is no image by https or in itself; empty is none."""
    if not logo:
        return
    if len(logo) > MAX_LOGO:
        raise InvalidInput(f"portal_logo: longer than {MAX_LOGO:,} characters")
    if not (_LOGO_URL.fullmatch(logo) or _LOGO_DATA.fullmatch(logo)):
        raise InvalidInput(
            f"portal_logo: {logo[:60]!r} is neither https://host/path nor "
            "data:image/png;base64,… (or svg+xml, jpeg, webp, gif)"
        )


def image_source(logo: str) -> str:
    """Return what a Content-Security-Policy has to allow for a logo; empty for nothing more."""
    found = _LOGO_URL.fullmatch(logo)
    return found[1] if found else ""


def palettes(colour: str) -> dict[str, Palette]:
    """Return the colours of a light and a dark page, made of one.

    It is darkened, or lightened, until it can be read on every ground that it stands on.
    """
    return {theme: _palette(_parsed(colour), theme) for theme in _GROUNDS}


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21."""
    return _contrast(_parsed(one), _parsed(other))


def _palette(wanted: Rgb, theme: str) -> Palette:
    end = _BLACK if theme == "light" else _WHITE
    for step in range(_STEPS + 1):
        accent = _mixed(wanted, end, step / _STEPS)
        tint = _mixed(_GROUNDS[theme][0], accent, _TINT)
        if _reads(accent, (*_GROUNDS[theme], tint)):
            break
    ink = max(_BLACK, _WHITE, key=lambda each: _contrast(accent, each))
    return Palette(_css(accent), _css(ink), _css(tint))


def _reads(colour: Rgb, grounds: Sequence[Rgb]) -> bool:
    return all(_contrast(colour, ground) >= READABLE for ground in grounds)


def _mixed(one: Rgb, other: Rgb, share: float) -> Rgb:
    r, g, b = (round(a + (z - a) * share) for a, z in zip(one, other, strict=True))
    return r, g, b


def _parsed(colour: str) -> Rgb:
    r, g, b = bytes.fromhex(colour.removeprefix("#"))
    return r, g, b


def _css(colour: Rgb) -> str:
    return f"#{bytes(colour).hex()}"


def _contrast(one: Rgb, other: Rgb) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Rgb) -> float:
    r, g, b = (
        c / 12.92 if (c := value / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4  # noqa: PLR2004
        for value in colour
    )
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
