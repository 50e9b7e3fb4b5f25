"""What the commands print: times, tables that fit or fold, values people type."""

import sys
from datetime import UTC, datetime, timedelta

import pytest
import typer
from rich.console import Console

from hookline.cli._show.out import Out, printable
from hookline.cli._show.times import distance, local, span, utc
from hookline.cli._values import coming, moment, pair, past

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TITLES = ("ID", "STATE", "URL")
ROW = ["ep_0ERg7kN7CTnGUMA94qQs47RAIGf", "active", "https://example.com/" + "x" * 40]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.5, "now"),
        (1, "1 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (7200, "2 h ago"),
        (86400 * 3, "3 d ago"),
        (-90, "in 1 min"),
    ],
)
def test_a_time_says_how_far_it_is_away(seconds, said):
    """In its largest unit."""
    assert distance(NOW - timedelta(seconds=seconds), NOW) == said


def test_times_are_local_for_people_and_utc_for_programs(monkeypatch):
    """A day, a year away, they say so."""
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert local(NOW - timedelta(minutes=5), NOW) == "12:55:00, 5 min ago"
        assert local(NOW - timedelta(days=2), NOW) == "Feb 27 13:00, 2 d ago"
        assert local(NOW - timedelta(days=400), NOW) == "2025-01-25 13:00, 400 d ago"
        assert local(None, NOW) == "–"
        assert utc(NOW.astimezone()) == "2026-03-01T12:00:00.000Z"
        assert utc(None) is None
        assert moment("2026-03-01T13:00") == NOW
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_short_span_is_in_milliseconds():
    """Below a second."""
    assert span(0.25) == "250 ms"


def out(width):
    made = Out(as_json=False)
    made.console = Console(width=width, highlight=False, markup=False, emoji=False, file=sys.stdout)
    return made


def test_a_row_is_one_line_where_there_is_room(capsys):
    """With a header, ids whole, and no spaces at the end."""
    out(120).table(TITLES, [ROW], below=("URL",))
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == list(TITLES)
    assert line.split() == ROW


def test_a_row_is_two_lines_where_there_is_none(capsys):
    """Nothing is cut off: ids are there to be copied."""
    out(80).table(TITLES, [ROW], below=("URL",))
    first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ROW[:2]
    assert second == f"  {ROW[2]}"


def test_in_a_pipe_a_row_is_one_line_however_long(capsys):
    """For grep."""
    Out(as_json=False).table(TITLES, [[ROW[0], "active", "https://example.com/" + "x" * 500]])
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_facts_without_a_value_are_left_out(capsys):
    """Also those with a dash."""
    out(80).facts([("id", "x"), ("uid", ""), ("when", "–")])
    assert capsys.readouterr().out == "id  x\n"


def test_an_empty_table_has_its_header_only(capsys):
    """And does not fall over."""
    out(80).table(TITLES, [])
    assert capsys.readouterr().out.split() == list(TITLES)


def test_escape_sequences_are_made_harmless():
    """In whatever others wrote."""
    assert printable("a\x1b[31mb\r\n\x9b") == "a?[31mb???"


def test_times_people_type():
    """A bare duration is before now, or after it where that is meant."""
    now = datetime.now(UTC)
    assert abs(past("2h") - (now - timedelta(hours=2))) < timedelta(seconds=5)
    assert abs(coming("10m") - (now + timedelta(minutes=10))) < timedelta(seconds=5)
    assert past("2026-03-01T12:00:00Z") == NOW
    assert past(NOW) is NOW
    for wrong in ("soon", "", "5", "2h30", "99999999d", "0001-01-01"):
        with pytest.raises(typer.BadParameter):
            past(wrong)


def test_pairs_people_type():
    """Only the first separator counts."""
    assert pair("a=b=c", "--metadata", "=", "") == ("a", "b=c")
    for wrong in ("a", "=b", " =b"):
        with pytest.raises(typer.BadParameter):
            pair(wrong, "--metadata", "=", "--metadata plan=gold")
