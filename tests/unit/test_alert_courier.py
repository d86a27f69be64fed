"""A courier: what it tells, keeps, and tries again."""

import threading

import pytest

from pipelines.alerts.courier import MOST_REFUSED_RETRY_SECONDS, MOST_RETRY_SECONDS, Courier
from pipelines.alerts.errors import AlertRefusedError, TargetUnavailableError
from warehouse.control import DeliveryRecord
from warehouse.errors import ControlUnavailableError


class MemoryStore:
    """The control store's part that couriers use."""

    def __init__(self):
        self.alerts, self.deliveries, self.error = [], {}, None

    def list_alerts(self):
        if self.error:
            raise self.error
        return list(self.alerts)

    def list_deliveries(self, target=None):
        return [each for each in self.deliveries.values() if target in {None, each.target}]

    def keep_deliveries(self, deliveries):
        self.deliveries |= {(each.target, each.fingerprint): each for each in deliveries}


class ScriptedTarget:
    """A target that raises what the script says for each call, then takes everything."""

    def __init__(self, most_at_once=1):
        self.most_at_once, self.script, self.sent, self.refused = most_at_once, [], [], set()

    def send(self, notices, _now):
        if self.script and (error := self.script.pop(0)):
            raise error
        if self.refused & {notice.alert.name for notice in notices}:
            raise AlertRefusedError("400")
        self.sent.append([f"{notice.alert.name} {notice.status}" for notice in notices])
        return "ok"


class Stage:
    def __init__(self, alerting, most_at_once=1, kind="file"):
        self.alerting, self.now = alerting, alerting.NOW + 1
        self.store, self.target, self.said = MemoryStore(), ScriptedTarget(most_at_once), []
        settings = {"path": "x"} if kind == "file" else {"url": "http://127.0.0.1:1"}
        self.courier = Courier(
            self.target,
            alerting.target(kind, **settings),
            self.store,
            names=[kind],
            interval_seconds=60,
            clock=lambda: self.now,
            random=lambda: 0.0,
            say=self.said.append,
        )

    def fire(self, *names):
        self.store.alerts += [self.alerting.record(self.alerting.alert(name)) for name in names]

    def wait(self, seconds):
        self.now += int(seconds * self.alerting.SECOND)


@pytest.fixture
def stage(alerting):
    return Stage(alerting)


def test_what_was_taken_is_kept(stage):
    """A notice that the target took is not sent by the next turn."""
    stage.fire("a", "b")
    assert stage.courier.turn().sent == 2
    assert stage.courier.turn().sent == 0
    assert stage.target.sent == [["a firing"], ["b firing"]]


def test_what_failed_is_tried_again_later_and_later(stage, alerting):
    """5 s, doubling up to a minute; nothing is given up."""
    stage.fire("a")
    waits = []
    for _ in range(7):
        stage.target.script.append(TargetUnavailableError("down"))
        turn = stage.courier.turn()
        assert (turn.failed, turn.problem) == (1, "down")
        waits.append((turn.next_unix_nano - stage.now) / alerting.SECOND)
        stage.wait(waits[-1] - 0.1)
        assert stage.courier.turn().failed == 0
        stage.wait(0.2)
    assert waits == [5, 10, 20, 40, MOST_RETRY_SECONDS, MOST_RETRY_SECONDS, MOST_RETRY_SECONDS]
    assert stage.courier.turn().sent == 1
    (delivery,) = stage.store.deliveries.values()
    assert (delivery.attempts, delivery.problem, delivery.retry_unix_nano) == (0, None, None)


def test_a_target_that_is_down_is_asked_once_a_turn(stage):
    """What it would not take is not tried for each alert in turn; all of them wait."""
    stage.fire("a", "b", "c")
    stage.target.script.append(TargetUnavailableError("down"))
    assert stage.courier.turn().failed == 3
    assert stage.target.sent == []
    assert {each.attempts for each in stage.store.deliveries.values()} == {1}


def test_a_target_that_asks_for_patience_gets_it(stage, alerting):
    """Retry-After outweighs a shorter wait."""
    stage.fire("a")
    stage.target.script.append(TargetUnavailableError("429", retry_after_seconds=120))
    assert stage.courier.turn().next_unix_nano == stage.now + 120 * alerting.SECOND


def test_one_alert_that_is_refused_holds_up_no_other(alerting):
    """The bad one of a batch is found, the others are delivered; it is tried again more and more rarely."""
    stage = Stage(alerting, most_at_once=10)
    stage.fire("a", "bad", "c")
    stage.target.refused.add("bad")
    turn = stage.courier.turn()
    assert (turn.sent, turn.failed) == (2, 1)
    assert stage.target.sent == [["a firing"], ["c firing"]]
    bad = next(each for each in stage.store.deliveries.values() if each.problem)
    for _ in range(12):
        stage.now = bad.retry_unix_nano
        stage.courier.turn()
        bad = stage.store.deliveries["file", bad.fingerprint]
    assert bad.retry_unix_nano - stage.now == MOST_REFUSED_RETRY_SECONDS * alerting.SECOND


def test_an_end_follows_what_was_told(stage, alerting):
    """Firing, then resolved, under one row."""
    stage.fire("a")
    stage.courier.turn()
    stage.store.alerts = [alerting.record(alerting.alert("a", ends_unix_nano=stage.now))]
    stage.courier.turn()
    assert stage.target.sent == [["a firing"], ["a resolved"]]


def test_a_courier_outlives_whatever_goes_wrong(stage):
    """A state that cannot be read, and an error that nobody foresaw, are said once; then it goes on. No secret is said."""
    stage.store.error = ControlUnavailableError("control database: gone")
    stage.fire("a")
    delivered = threading.Event()
    steps = {"file: control database": None, "RuntimeError": None, "delivers again": delivered.set}

    def say(text):
        stage.said.append(text)
        stage.now += 60 * stage.alerting.SECOND
        if "control database" in text:
            stage.store.error = RuntimeError("tops3cret")
        elif "RuntimeError" in text:
            stage.store.error = None
        else:
            delivered.set()

    stage.courier._say = say
    stage.courier.start()
    for _ in range(600):
        stage.courier.wake()
        if delivered.wait(0.1):
            break
    stage.courier.stop(60)
    assert [step for step in steps if any(step in said for said in stage.said)] == list(steps)
    assert "tops3cret" not in str(stage.said)
    assert ["a firing"] in stage.target.sent


def test_a_queued_alert_keeps_its_row(alerting):
    """A failure adds to the row that the round made, and forgets nothing of what the target was told before."""
    stage = Stage(alerting)
    stage.fire("a")
    (row,) = stage.store.alerts
    stage.store.keep_deliveries(
        [DeliveryRecord("file", row.fingerprint, starts_unix_nano=5, ended=True, severity="page", sent_unix_nano=9)]
    )
    stage.target.script.append(TargetUnavailableError("down"))
    stage.courier.turn()
    (delivery,) = stage.store.deliveries.values()
    assert (delivery.starts_unix_nano, delivery.sent_unix_nano, delivery.attempts) == (5, 9, 1)
