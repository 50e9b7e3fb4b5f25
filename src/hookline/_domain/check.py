"""Checks of single values, shared by several doors. Each raises InvalidInput, naming the value."""

from datetime import UTC, datetime

from hookline._said import Said
from hookline.errors import InvalidInput


def number(name: str, value: object, least: float, most: float) -> None:
    """Refuse what is not a number from `least` to `most`; None counts as not given."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(
            Said("{name}: expected a number, got {got}", name=name, got=type(value).__name__)
        )
    if not least <= value <= most:
        raise InvalidInput(
            Said(
                "{name}: {value} is not between {least:g} and {most:,g}",
                name=name,
                value=value,
                least=least,
                most=most,
            )
        )


def text(name: str, value: object, least: int, most: int) -> None:
    """Refuse what is not text of `least` to `most` characters that any database keeps."""
    if not isinstance(value, str):
        raise InvalidInput(
            Said("{name}: expected text, got {got}", name=name, got=type(value).__name__)
        )
    if not least <= len(value) <= most:
        raise InvalidInput(
            Said(
                "{name}: {count} characters, expected {least} to {most}",
                name=name,
                count=len(value),
                least=least,
                most=most,
            )
        )
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise InvalidInput(
            Said("{name}: contains NUL or a lone surrogate, which no database keeps", name=name)
        )


def cut(said: Said, most: int = 200) -> Said:
    """Return what ends with `got`, what came, cut to `most` characters."""
    over = len(said) - most
    if over <= 0:
        return said
    return Said(said.pattern, **{**said.values, "got": said.values["got"][:-over]})


def milliseconds(name: str, moment: datetime) -> int:
    """Return a time in Unix milliseconds; raise InvalidInput for one without a zone."""
    if not isinstance(moment, datetime):
        raise InvalidInput(f"{name}: expected a datetime, got {type(moment).__name__}")
    if moment.tzinfo is None:
        raise InvalidInput(f"{name}: has no time zone; use datetime.now(UTC)")
    return round(moment.astimezone(UTC).timestamp() * 1000)


def whole_moment(name: str, moment: datetime | None) -> datetime | None:
    """Return a time as the database keeps it: UTC, in whole milliseconds."""
    if moment is None:
        return None
    return datetime.fromtimestamp(milliseconds(name, moment) / 1000, UTC)
