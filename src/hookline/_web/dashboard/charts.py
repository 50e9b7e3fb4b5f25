"""Charts, drawn on the server: SVG without a line of script or style in it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup

from hookline._domain.tally import Series

WIDTH, HEIGHT = 600, 120


def most(series: Series) -> int:
    """Return the most attempts that a point has: where bars end."""
    return max((tally.attempts for tally in series.tallies), default=0)


def bars(series: Series, label: str) -> Markup:
    """Return attempts over time: what succeeded below, what failed on top."""
    top = most(series) or 1
    wide = WIDTH / max(1, len(series.tallies))
    parts = [_line(HEIGHT - share * (HEIGHT - 4)) for share in (0.5, 1.0)]
    for place, tally in enumerate(series.tallies):
        if not tally.attempts:
            continue
        at = float(HEIGHT)
        moment = datetime.fromtimestamp(series.start + place * series.step, UTC)
        told = f"{moment:%Y-%m-%d %H:%M} UTC: ✓ {tally.succeeded:,}  ✗ {tally.failed:,}"
        parts.append(f"<g><title>{told}</title>")
        for count, kind in ((tally.succeeded, "good"), (tally.failed, "bad")):
            if count:
                high = max(1.5, count / top * (HEIGHT - 4))
                at -= high
                parts.append(_bar(place * wide, at, wide, high, kind))
        parts.append("</g>")
    return _drawing(parts, label, "chart bars")


def _line(y: float) -> str:
    return f'<line class="grid" x1="0" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _bar(x: float, y: float, wide: float, high: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{x + wide * 0.1:.1f}" y="{y:.1f}" '
        f'width="{wide * 0.8:.1f}" height="{high:.1f}"/>'
    )


def lines(curves: Sequence[tuple[str, Sequence[float | None]]], label: str) -> Markup:
    """Return curves over time, each with its class; None leaves a gap."""
    values = [value for _, curve in curves for value in curve if value is not None]
    top = max(values, default=0) or 1
    parts = [_line(HEIGHT - 2 - share * (HEIGHT - 6)) for share in (0.5, 1.0)]
    for kind, curve in curves:
        wide = WIDTH / max(1, len(curve) - 1)
        for piece in _pieces(curve):
            points = [
                f"{place * wide:.1f},{HEIGHT - 2 - value / top * (HEIGHT - 6):.1f}"
                for place, value in piece
            ]
            if len(points) == 1:
                x, y = points[0].split(",")
                parts.append(f'<circle class="{kind}" cx="{x}" cy="{y}" r="2"/>')
            else:
                parts.append(f'<polyline class="{kind}" points="{" ".join(points)}"/>')
    return _drawing(parts, label, "chart lines")


def _pieces(curve: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    found: list[list[tuple[int, float]]] = [[]]
    for place, value in enumerate(curve):
        if value is None:
            found.append([])
        else:
            found[-1].append((place, value))
    return [piece for piece in found if piece]


def spark(series: Series, label: str) -> Markup:
    """Return the success rate over time, small: a bar for each point that had attempts."""
    wide = 120 / max(1, len(series.tallies))
    parts = []
    for place, tally in enumerate(series.tallies):
        rate = tally.success_rate
        if rate is not None:
            kind = "good" if rate >= 0.99 else "fair" if rate >= 0.9 else "bad"  # noqa: PLR2004
            high = max(3.0, rate * 22)
            parts.append(_bar(place * wide, 24 - high, wide, high, kind))
    return _drawing(parts, label, "spark", 120, 24)


PHASES = ("dns", "connect", "tls", "first_byte", "total")


def timings(marks: Sequence[int], longest: int, label: str) -> Markup:
    """Return where the time of an attempt went, as one bar. `marks` as `Timings` has them (µs)."""
    scale = 300 / max(1, longest)
    parts, before = [], 0
    for phase, mark in zip(PHASES, marks, strict=True):
        if mark > before:
            x, wide = before * scale, max(0.75, (mark - before) * scale)
            parts.append(
                f'<rect class="t-{phase}" x="{x:.1f}" y="1" width="{wide:.1f}" height="8"/>'
            )
            before = mark
    return _drawing(parts, label, "timing", 300, 10)


def _drawing(
    parts: Sequence[str], label: str, kind: str, wide: int = WIDTH, high: int = HEIGHT
) -> Markup:
    base = Markup(
        '<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" '
        'aria-label="{}">{}</svg>'
    )
    return base.format(kind, wide, high, label, Markup("".join(parts)))  # noqa: S704 - numbers only
