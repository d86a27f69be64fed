"""Durations and windows: rolling ones, and ones by the calendar of a time zone."""

from datetime import datetime

import pytest

from pipelines.slo.durations import duration_text, parse_calendar, parse_duration, parse_rolling

SECOND = 1_000_000_000


def nanos(text):
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("1h", 3_600), ("30d", 2_592_000), ("2w", 1_209_600), ("90s", 90)]
)
def test_durations(text, seconds):
    """A number and a unit of fixed length."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "0m", "1M", "-5m", "5 m", "1.5h"])
def test_what_is_no_duration(text):
    """Anything else is refused with what was got."""
    with pytest.raises(ValueError, match="expected a number and"):
        parse_duration(text)


@pytest.mark.parametrize(
    "read",
    [
        lambda: parse_duration("3661d"),
        lambda: parse_rolling("999999w"),
        lambda: parse_calendar("9000Y", datetime(2026, 1, 1), "UTC"),  # noqa: DTZ001 - local time of the zone
        lambda: parse_calendar("999999w", datetime(2026, 1, 1), "UTC"),  # noqa: DTZ001
    ],
)
def test_what_is_too_long(read):
    """Over ten years, whose windows no memory holds and no calendar ends: refused, rather than to end whoever computes."""
    with pytest.raises(ValueError, match="expected at most 3660d"):
        read()
    assert parse_duration("3660d") == 3660 * 86_400


def test_durations_are_written_short():
    """The largest unit that gives a whole number, days at most."""
    assert [duration_text(seconds) for seconds in (90, 300, 3_600, 21_600, 86_400, 604_800)] == [
        "90s",
        "5m",
        "1h",
        "6h",
        "1d",
        "7d",
    ]


def test_a_rolling_window_ends_now():
    """It is as long as it says, up to the instant."""
    assert parse_rolling("7d").bounds(10**18) == (10**18 - 604_800 * SECOND, 10**18)


@pytest.mark.parametrize(
    ("duration", "start", "zone", "at", "begin", "end"),
    [
        ("1M", "2022-01-01T12:00", "America/New_York", "2026-11-20T00:00+00:00", "2026-11-01T12:00-05:00", "2026-12-01T12:00-05:00"),
        ("1m", "2022-01-31T00:00", "UTC", "2026-02-10T00:00+00:00", "2026-01-31T00:00+00:00", "2026-02-28T00:00+00:00"),
        ("1w", "2022-01-01T12:00", "America/New_York", "2026-11-22T00:00+00:00", "2026-11-21T12:00-05:00", "2026-11-28T12:00-05:00"),
        ("1d", "2026-03-28T00:00", "Europe/Berlin", "2026-03-29T12:00+00:00", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00"),
        ("1Q", "2026-01-01T00:00", "UTC", "2026-11-26T00:00+00:00", "2026-10-01T00:00+00:00", "2027-01-01T00:00+00:00"),
        ("1Y", "2024-02-29T00:00", "UTC", "2026-02-28T00:00+00:00", "2026-02-28T00:00+00:00", "2027-02-28T00:00+00:00"),
        ("1d", "2030-01-01T00:00", "UTC", "2026-01-01T00:00+00:00", "2030-01-01T00:00+00:00", "2030-01-02T00:00+00:00"),
    ],
)  # fmt: skip
def test_windows_by_the_calendar(duration, start, zone, at, begin, end):
    """They follow local time from their start on, over changes of the clock and months of any length."""
    window = parse_calendar(duration, datetime.fromisoformat(start), zone)
    assert window.bounds(nanos(at)) == (nanos(begin), nanos(end))


@pytest.mark.parametrize(
    ("duration", "zone"), [("1h", "UTC"), ("0d", "UTC"), ("1d", "Mars/Olympus"), ("1d", "../etc/passwd")]
)
def test_what_is_no_calendar(duration, zone):
    """Hours, nothing, and zones that there are not."""
    with pytest.raises(ValueError, match="expected"):
        parse_calendar(duration, datetime(2026, 1, 1), zone)  # noqa: DTZ001 - local time of the zone
