"""When nobody listened, read off the events of collectors."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.ledger.listening import HEARTBEAT, STARTED, STOPPED, CollectorEvent, Ending, Gap, gaps

SECOND = 1_000_000_000
INTERVAL = 10


def event(seconds, name, collector="main"):
    return CollectorEvent(seconds * SECOND, name, collector, INTERVAL)


def gap(first, last, ending, collector="main"):
    return Gap(first * SECOND, last * SECOND, collector, ending)


BEATS = [event(10, HEARTBEAT), event(20, HEARTBEAT)]
CASES = {
    "no events": ([], None, []),
    "one run": ([event(0, STARTED), *BEATS, event(25, STOPPED)], None, []),
    "stopped and started": (
        [event(0, STARTED), event(5, STOPPED), event(60, STARTED), event(65, STOPPED)],
        None,
        [gap(5, 60, Ending.STOPPED)],
    ),
    "killed and started": ([event(0, STARTED), *BEATS, event(90, STARTED)], None, [gap(20, 90, Ending.LOST)]),
    "killed and restarted before the next heartbeat": (
        [event(0, STARTED), *BEATS, event(23, STARTED)],
        None,
        [gap(20, 23, Ending.LOST)],
    ),
    "a heartbeat that came late by less than an interval": (
        [event(0, STARTED), event(19, HEARTBEAT), event(25, STOPPED)],
        None,
        [],
    ),
    "a machine that slept": ([event(0, STARTED), event(80, HEARTBEAT)], None, [gap(0, 80, Ending.LOST)]),
    "another collector listened meanwhile": (
        [event(0, STARTED), event(5, STOPPED), event(20, STARTED)]
        + [event(second, HEARTBEAT, "edge") for second in range(0, 30, 10)],
        None,
        [],
    ),
    "stopped until now": ([event(0, STARTED), event(5, STOPPED)], 60, [gap(5, 60, Ending.STOPPED)]),
    "alive now": ([event(0, STARTED), *BEATS], 35, []),
    "overdue now": ([event(0, STARTED), *BEATS], 41, [gap(20, 41, Ending.LOST)]),
}


@pytest.mark.parametrize(("events", "until", "expected"), CASES.values(), ids=CASES.keys())
def test_gaps_are_what_no_collector_covers(events, until, expected):
    """From the end of what was heard to the next that is heard."""
    assert gaps(events, until_unix_nano=None if until is None else until * SECOND) == expected


EVENTS = st.lists(
    st.builds(
        event, st.integers(0, 300), st.sampled_from([STARTED, HEARTBEAT, STOPPED]), st.sampled_from(["main", "edge"])
    ),
    max_size=30,
)


@given(EVENTS)
def test_gaps_are_in_order_apart_and_inside_the_events(events):
    """No gap is empty, touches another, or lies beyond what was heard."""
    found = gaps(events)
    assert all(gap.first_unix_nano < gap.last_unix_nano for gap in found)
    assert all(one.last_unix_nano <= two.first_unix_nano for one, two in pairwise(found))
    times = [event.unix_nano for event in events]
    assert all(min(times) <= gap.first_unix_nano and gap.last_unix_nano <= max(times) for gap in found)


@given(EVENTS)
def test_no_event_lies_inside_a_gap(events):
    """Whoever said something listened at that instant."""
    found = gaps(events)
    assert not [
        (gap, event) for gap in found for event in events if gap.first_unix_nano < event.unix_nano < gap.last_unix_nano
    ]


@given(EVENTS, st.randoms())
def test_the_order_of_events_does_not_matter(events, random):
    """Logs of several shards are read one after another."""
    shuffled = events.copy()
    random.shuffle(shuffled)
    assert gaps(shuffled) == gaps(events)


@given(st.lists(st.integers(1, INTERVAL * 2), min_size=1, max_size=50))
def test_a_collector_that_keeps_its_interval_leaves_no_gap(pauses):
    """Heartbeats at most two intervals apart, then a stop."""
    at, events = 0, [event(0, STARTED)]
    for pause in pauses:
        at += pause
        events.append(event(at, HEARTBEAT))
    assert gaps([*events, event(at + 1, STOPPED)]) == []


@given(EVENTS, EVENTS)
def test_another_collector_never_adds_to_the_time_nobody_listened(events, others):
    """At an instant at which one was heard to listen, more events of others change nothing."""
    others = [CollectorEvent(e.unix_nano, e.name, "third", e.interval_seconds) for e in others]
    if not events:
        return
    first, last = min(e.unix_nano for e in events), max(e.unix_nano for e in events)
    within = [e for e in others if first <= e.unix_nano <= last]

    def total(found):
        return sum(gap.last_unix_nano - gap.first_unix_nano for gap in found)

    assert total(gaps([*events, *within])) <= total(gaps(events))
