"""What a collector says about itself, with a clock and a journal of the test's own."""

import json
import time
from concurrent.futures import Future

import pytest

from muniment.heartbeat import Counts, Heartbeat, Tally
from warehouse.errors import UnavailableError

SECOND = 1_000_000_000
NOON = 1_795_348_800 * SECOND
DAY = 86_400 * SECOND


class Journal:
    """Keeps what was recorded; `problem` refuses it."""

    def __init__(self):
        self.events, self.problem, self.refused = [], None, 0

    def append(self, events):
        future = Future()
        if self.problem:
            self.refused += 1
            future.set_exception(self.problem)
        else:
            self.events += events
            future.set_result(None)
        return future

    def said(self, tenant="_lake"):
        return [(event.name, dict(event.attributes)) for event in self.events if event.tenant_id == tenant]


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def made(tmp_path):
    """A heartbeat that never beats by itself, its tally, journal and clock."""

    def make(interval=3600.0):
        clock, journal = Clock(), Journal()
        tally = Tally(clock)
        heartbeat = Heartbeat(
            shard="main-0000000a",
            interval_seconds=interval,
            append=journal.append,
            tally=tally,
            heard_file=tmp_path / "heard",
            clock=clock,
            version="1",
        )
        return heartbeat, tally, journal, clock

    return make


def figures(attributes):
    return tuple(attributes[f"muniment.{name}"] for name in ("accepted", "rejected", "quarantined"))


def test_start_and_stop_are_said_with_what_came_between(made):
    """The lake's log has the sums, each tenant's its own counts."""
    heartbeat, tally, journal, _ = made()
    heartbeat.start()
    tally.add({"acme": Counts(5, 1, 1), "beta": Counts(2, 0, 0)})
    heartbeat.stop()
    assert [name for name, _ in journal.said()] == ["collector.started", "collector.stopped"]
    assert figures(journal.said()[1][1]) == (7, 1, 1)
    assert figures(journal.said("acme")[0][1]) == (5, 1, 1)
    assert figures(journal.said("beta")[0][1]) == (2, 0, 0)


def test_every_heartbeat_goes_to_the_tenants_active_that_day(made):
    """A tenant that sent something today hears of each; tomorrow it does not."""
    heartbeat, tally, journal, clock = made(0.01)
    tally.add({"acme": Counts(1, 0, 0)})
    heartbeat.start()
    wait_until(lambda: len(journal.said("acme")) >= 3)
    clock.now += DAY
    wait_until(lambda: len(journal.said()) >= len(journal.said("acme")) + 5)
    heartbeat.stop()
    assert {name for name, _ in journal.said("acme")} == {"collector.heartbeat"}
    assert sum(figures(attributes)[0] for _, attributes in journal.said("acme")) == 1


def test_counts_that_could_not_be_said_come_with_the_next(made):
    """A refusing journal loses nothing of the account."""
    heartbeat, tally, journal, _ = made(0.01)
    heartbeat.start()
    journal.problem = UnavailableError("tables cannot be written")
    tally.add({"acme": Counts(4, 0, 0)})
    refused = journal.refused
    wait_until(lambda: journal.refused >= refused + 2)
    tally.add({"acme": Counts(3, 0, 0)})
    journal.problem = None
    wait_until(lambda: journal.said("acme"))
    heartbeat.stop()
    assert sum(figures(attributes)[0] for _, attributes in journal.said("acme")) == 7


def test_the_next_start_tells_of_a_collector_that_was_lost(made):
    """Without a stop before it the start says when the one before was last heard."""
    made()[0].start()
    heartbeat, _, journal, clock = made()
    clock.now += 600 * SECOND
    heartbeat.start()
    event = journal.events[0]
    assert event.attributes["muniment.last_ending"] == "lost"
    assert event.attributes["muniment.last_heard_unix_nano"] == NOON
    assert "last heard at" in event.fields["reason"]
    heartbeat.stop()


def test_the_next_start_after_a_stop_says_so(made):
    """An orderly stop is no loss."""
    first = made()[0]
    first.start()
    first.stop()
    heartbeat, _, journal, _ = made()
    heartbeat.start()
    assert journal.events[0].attributes["muniment.last_ending"] == "stopped"
    assert "reason" not in journal.events[0].fields
    heartbeat.stop()


def test_a_start_that_cannot_be_recorded_is_refused(made):
    """Nobody listens unseen; and what never started says no stop."""
    heartbeat, _, journal, _ = made()
    journal.problem = UnavailableError("no")
    with pytest.raises(UnavailableError):
        heartbeat.start()
    journal.problem = None
    heartbeat.stop()
    assert journal.events == []


def test_an_unreadable_note_about_the_last_run_is_passed_over(made, tmp_path):
    """That file is a convenience; the log counts."""
    (tmp_path / "heard").write_text(json.dumps({"unix_nano": "x"}))
    heartbeat, _, journal, _ = made()
    heartbeat.start()
    heartbeat.stop()
    assert "muniment.last_ending" not in journal.events[0].attributes


def wait_until(condition):
    """Poll until it holds."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_heartbeat_tells_how_old_checkpoints_are(tmp_path):
    """Each tenant's event says how long ago its log was signed; one without a signed log says nothing of it."""
    clock, journal = Clock(), Journal()
    tally = Tally(clock)
    heartbeat = Heartbeat(
        shard="main-0000000a", interval_seconds=3600.0, append=journal.append, tally=tally, heard_file=tmp_path / "heard",
        clock=clock, version="1", checkpoint_age_seconds={"acme": 12.5, "_lake": 3.0}.get,
    )  # fmt: skip
    heartbeat.start()
    tally.add({"acme": Counts(accepted=1), "globex": Counts(accepted=1)})
    heartbeat.stop()
    said = {
        tenant: journal.said(tenant)[-1][1].get("muniment.checkpoint_age_seconds")
        for tenant in ("_lake", "acme", "globex")
    }
    assert said == {"_lake": 3.0, "acme": 12.5, "globex": None}
