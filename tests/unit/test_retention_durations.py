"""Durations: how texts are read, and to which nanosecond something is kept."""

import datetime as dt

import pytest

from retention.durations import Duration

MICRO, NANO = 1_000, 1


def at(text):
    """Nanoseconds since 1970 of an ISO 8601 text, in UTC."""
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    delta = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000


READ = [
    (30, Duration(0, 30), "P30D"),
    (1, Duration(0, 1), "P1D"),
    ("P30D", Duration(0, 30), "P30D"),
    ("P2W", Duration(0, 14), "P14D"),
    ("P6M", Duration(6, 0), "P6M"),
    ("P12M", Duration(12, 0), "P1Y"),
    ("P1Y6M10D", Duration(18, 10), "P1Y6M10D"),
    ("P100Y", Duration(1200, 0), "P100Y"),
]


@pytest.mark.parametrize(("given", "expected", "written"), READ)
def test_days_and_iso_texts_are_read(given, expected, written):
    """An integer is days; a year is twelve months, a week seven days; what is written can be read again."""
    read = Duration.parse(given)
    assert (read, str(read), Duration.parse(written)) == (expected, written, expected)


@pytest.mark.parametrize(
    "given", [0, -1, 36_501, "P", "P0D", "30", "30d", "PT12H", "P1DT1H", "P1.5Y", "P-1D", "P101Y", "p6m", "P6M ", "P" + "9" * 60 + "D", ""]
)  # fmt: skip
def test_anything_else_is_refused(given):
    """No time of day, no fractions, nothing below a day or above a hundred years."""
    with pytest.raises(ValueError, match="expected"):
        Duration.parse(given)


BOUNDARIES = [
    ("days", "P30D", "2026-03-01T12:00:00.000001", "2026-03-31T12:00:00.000001"),
    ("days over a leap day", "P1D", "2028-02-28T23:59:59.999999", "2028-02-29T23:59:59.999999"),
    ("days over the end of a year", "P1D", "2026-12-31T00:00:00", "2027-01-01T00:00:00"),
    ("a day when clocks change somewhere", "P1D", "2026-03-28T12:00:00", "2026-03-29T12:00:00"),
    ("month", "P1M", "2026-01-15T10:00:00", "2026-02-15T10:00:00"),
    ("month, last day that February has", "P1M", "2026-01-28T23:59:59.999999", "2026-02-28T23:59:59.999999"),
    ("month, first day that February lacks", "P1M", "2026-01-29T00:00:00", "2026-03-01T00:00:00"),
    ("month, end of January", "P1M", "2026-01-31T23:59:59.999999", "2026-03-01T00:00:00"),
    ("month, 29 January before a leap day", "P1M", "2028-01-29T01:00:00", "2028-02-29T01:00:00"),
    ("month, 30 January before a leap day", "P1M", "2028-01-30T01:00:00", "2028-03-01T00:00:00"),
    ("month, from the end of February", "P1M", "2026-02-28T08:00:00", "2026-03-28T08:00:00"),
    ("month, 31 to a month of 30", "P1M", "2026-05-31T08:00:00", "2026-07-01T00:00:00"),
    ("six months over the end of a year", "P6M", "2026-08-31T08:00:00", "2027-03-01T00:00:00"),
    ("year", "P1Y", "2026-11-25T08:00:00", "2027-11-25T08:00:00"),
    ("year from a leap day", "P1Y", "2028-02-29T08:00:00", "2029-03-01T00:00:00"),
    ("four years from a leap day", "P4Y", "2028-02-29T08:00:00", "2032-02-29T08:00:00"),
    ("four years over a century without one", "P4Y", "2096-02-29T08:00:00", "2100-03-01T00:00:00"),
    ("months, then days", "P1M1D", "2026-01-31T08:00:00", "2026-03-02T00:00:00"),
    ("before 1970", "P1M", "1969-12-31T23:59:59.999999", "1970-01-31T23:59:59.999999"),
]


@pytest.mark.parametrize(("keep", "start", "end"), [pytest.param(*case[1:], id=case[0]) for case in BOUNDARIES])
def test_the_last_microsecond_is_kept(keep, start, end):
    """Something is due at its deadline and not a nanosecond before; the horizon says the same."""
    duration, start, end = Duration.parse(keep), at(start), at(end)
    assert duration.deadline(start) == end
    assert duration.horizon(end) >= start
    for moment in (end - NANO, end - MICRO):
        assert duration.horizon(moment) < start


COMPARED = [
    ("P30D", "P30D", False),
    ("P29D", "P30D", True),
    ("P6M", "P6M", False),
    ("P12M", "P1Y", False),
    ("P184D", "P6M", False),
    ("P183D", "P6M", True),
    ("P365D", "P1Y", True),
    ("P366D", "P1Y", False),
    ("P1Y", "P365D", False),
    ("P1Y", "P366D", True),
    ("P1M", "P28D", False),
    ("P1M", "P29D", True),
    ("P6M1D", "P6M", False),
    ("P5M40D", "P6M", False),
    ("P5M28D", "P6M", True),
]


@pytest.mark.parametrize(("one", "other", "shorter"), COMPARED)
def test_months_are_compared_with_days_by_the_calendar(one, other, shorter):
    """Six months have 181 to 184 days: 183 days may be shorter, 184 never are."""
    assert Duration.parse(one).may_be_shorter_than(Duration.parse(other)) is shorter
