"""Which days are asked for when records came: exactly those, few at a time, each once an hour at most."""

import datetime as dt

import pytest

from pipelines.findings import NewRecords
from pipelines.waiting import AGAIN_SECONDS, FIRST_DAYS, MOST_AT_ONCE, Waiting, add_new, take_due

SECOND = 1_000_000_000
TODAY = dt.date(2026, 11, 25)
NOW = int(dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC).timestamp()) * SECOND
FIRST = dt.date(2023, 1, 1)
SEEN = Waiting({"spans": 1}, NOW - 60 * SECOND)


def ago(days):
    return TODAY - dt.timedelta(days=days)


def new(*days, tenant="acme"):
    return NewRecords({"spans": 2}, {day: frozenset({tenant}) for day in days})


def test_a_day_is_asked_for_with_the_tenants_of_which_records_came():
    """Two tenants' records of one day are one run; the next look has nothing to ask for."""
    waiting = add_new(add_new(SEEN, new(ago(3)), NOW, FIRST), new(ago(3), tenant="beta"), NOW, FIRST)
    due, after = take_due(waiting, NOW)
    assert due == {ago(3): frozenset({"acme", "beta"})}
    assert take_due(after, NOW)[0] == {}


def test_a_day_is_asked_for_once_an_hour_at_most():
    """What comes within the hour waits for its end, and is not forgotten."""
    _, after = take_due(add_new(SEEN, new(TODAY), NOW, FIRST), NOW)
    later = NOW + (AGAIN_SECONDS - 1) * SECOND
    due, after = take_due(add_new(after, new(TODAY), later, FIRST), later)
    assert due == {}
    assert take_due(after, later + SECOND)[0] == {TODAY: frozenset({"acme"})}


def test_many_days_are_asked_for_a_few_at_a_time():
    """Newest first; every day's turn comes."""
    days = [ago(number) for number in range(30)]
    waiting, asked = add_new(SEEN, new(*days), NOW, FIRST), []
    while (found := take_due(waiting, NOW))[0]:
        assert len(found[0]) <= MOST_AT_ONCE
        asked += found[0]
        waiting = found[1]
    assert asked == days


@pytest.mark.parametrize(
    ("before", "day", "asked"),
    [
        pytest.param(Waiting(), ago(FIRST_DAYS), True, id="the first look goes back a week"),
        pytest.param(Waiting(), ago(FIRST_DAYS + 1), False, id="and no further"),
        pytest.param(SEEN, ago(FIRST_DAYS + 1), True, id="a later one does"),
        pytest.param(SEEN, FIRST - dt.timedelta(days=1), False, id="a day without a partition"),
        pytest.param(SEEN, ago(-1), False, id="a day that has not begun"),
    ],
)
def test_which_days_are_asked_for(before, day, asked):
    """Days that have a partition, that have begun, and at first the last week alone."""
    assert bool(take_due(add_new(before, new(day), NOW, FIRST), NOW)[0]) is asked


def test_a_day_that_has_not_begun_waits_until_it_has():
    """A sender whose clock is ahead loses nothing."""
    _, after = take_due(add_new(SEEN, new(ago(-1)), NOW, FIRST), NOW)
    assert take_due(after, NOW + 12 * 3600 * SECOND)[0] == {ago(-1): frozenset({"acme"})}


def test_a_cursor_keeps_everything():
    """Text and back is the same; a cursor of another version begins anew."""
    _, after = take_due(add_new(SEEN, new(TODAY, ago(-1)), NOW, FIRST), NOW)
    assert after.days
    assert after.asked
    assert Waiting.from_text(after.to_text()) == after
    assert Waiting.from_text('{"version": 0}') == Waiting.from_text(None) == Waiting()
