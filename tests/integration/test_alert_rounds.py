"""Rounds over a real lake: what is recorded, what survives, and that no target or source holds up another."""

import json
import threading
import time

import pytest
import yaml

from muniment import alert_events
from muniment.alert_list import alert_status
from muniment.alert_state import read_state
from muniment.alerting import FAILING_ROUNDS, AlertWatch, Source
from muniment.setup import set_up_lake
from muniment.wiring import command_context
from pipelines.alerts.episodes import Evaluation
from warehouse.clock import system_clock
from warehouse.errors import UnavailableError
from warehouse.query import open_session

KINDS = frozenset({"slo", "incident"})
WAIT_SECONDS = 120


class Stage:
    """A lake with a tenant, and a source whose alerts the test sets."""

    def __init__(self, folder, alerting):
        self.alerting = alerting
        self.lake, _ = set_up_lake(folder, name="lab", clock=system_clock)
        self.alerts, self.error, self.said, self.opened = (), None, [], []
        self.set_targets({"name": "log", "type": "file", "path": "alerts.jsonl"})
        self.context().control.add_tenant("acme", None)

    def set_targets(self, *targets, **settings):
        content = {"lake": "lab", "alerts": {"targets": list(targets), **settings}}
        self.lake.settings_file.write_text(yaml.safe_dump(content))

    def context(self):
        self.opened.append(command_context(self.lake.path))
        return self.opened[-1]

    def evaluate(self, _context, _now):
        if self.error:
            raise self.error
        return Evaluation(KINDS, tuple(self.alerts))

    def watch(self, *more):
        """A loop as after a start."""
        return AlertWatch(self.context(), [Source("slos", self.evaluate), *more], say=self.said.append)

    def events(self):
        """The alerts' audit events without the watchdog's: name, resource id, tenant."""
        context = self.context()
        with open_session(
            self.lake.path, tenants=["acme", "_lake"], principal=context.principal, settings=context.settings.query
        ) as session:
            found = session.query(
                "select event_name, resource_id, tenant_id, attributes, recorded_by, action from audit_events"
                " where event_name like 'alert.%' and action <> 'Watchdog' order by time_unix_nano"
            )
        return found.to_pylist()

    def lines(self):
        file = self.lake.path / "alerts.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def close(self):
        for context in self.opened:
            if "control" in vars(context):
                context.control.close()


@pytest.fixture
def stage(tmp_path, alerting):
    made = Stage(tmp_path / "lake", alerting)
    yield made
    made.close()


def test_an_alert_from_beginning_to_end(stage, alerting):
    """Told and recorded once when it begins and once when it ends, across a restart between any two rounds."""
    stage.alerts = [alerting.alert(labels={"slo": "latency"}, value=20.0, runbook="slow.md")]
    for _ in range(3):
        stage.watch().run_once()
    stage.alerts = []
    for _ in range(2):
        stage.watch().run_once()
    first, last = stage.events()
    assert (first["event_name"], last["event_name"]) == ("alert.fired", "alert.resolved")
    assert first["resource_id"] == last["resource_id"]
    assert (first["tenant_id"], first["recorded_by"], first["action"]) == ("acme", "muniment:alerts", "slow")
    attributes = json.loads(first["attributes"])
    assert attributes["muniment.alert.fingerprint"] == alerting.alert(labels={"slo": "latency"}).fingerprint
    assert attributes["muniment.alert.labels"] == {"slo": "latency"}
    assert [line["status"] for line in stage.lines()] == ["firing", "resolved"]


def test_an_event_that_was_recorded_is_not_recorded_again(stage, alerting, monkeypatch):
    """Killed between recording and noting that: the next start finds the event in the lake."""
    stage.alerts = [alerting.alert()]

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(alert_events, "_mark", die)
        with pytest.raises(KeyboardInterrupt):
            stage.watch().round()
    assert len(stage.events()) == 1
    stage.watch().round()
    assert len(stage.events()) == 1
    assert alert_status(stage.context())["not_recorded"] == 0


def test_an_event_that_could_not_be_recorded_follows(stage, alerting, monkeypatch):
    """The alert goes out all the same, `status` says what is missing, and a later round records it once."""
    stage.alerts = [alerting.alert()]

    def refuse(*_):
        raise UnavailableError("no room on the disk")

    with monkeypatch.context() as patch:
        patch.setattr("muniment.recorder.Recorder.record", refuse)
        done, _ = stage.watch().run_once()
    assert done.problems == ("not on record yet: no room on the disk",)
    assert [line["status"] for line in stage.lines()] == ["firing"]
    assert alert_status(stage.context())["not_recorded"] == 2
    stage.watch().run_once()
    assert [event["event_name"] for event in stage.events()] == ["alert.fired"]


def test_a_source_that_fails_ends_nothing_and_is_an_alert_itself(stage, alerting):
    """What fired goes on, other sources are evaluated, and after some rounds the trouble is told as a page."""
    other = Source("others", lambda _c, _n: Evaluation(frozenset({"clock"}), (alerting.alert("c", kind="clock"),)))
    stage.alerts = [alerting.alert()]
    loop = stage.watch(other)
    loop.round()
    stage.error = ValueError("tops3cret")
    for _ in range(FAILING_ROUNDS + 1):
        done = loop.round()
    assert done.problems == ("slos: ValueError",)
    assert "tops3cret" not in str(stage.said)
    names = {event["action"]: event["event_name"] for event in stage.events()}
    assert names == {"slow": "alert.fired", "c": "alert.fired", "AlertEvaluationFailing": "alert.fired"}
    stage.error = None
    loop.round()
    assert stage.events()[-1]["action"] == "AlertEvaluationFailing"
    assert stage.events()[-1]["event_name"] == "alert.resolved"


def test_a_target_that_hangs_delays_nobody(stage, alerting, receiver):
    """While one target does not answer, rounds go on and the other is told of each alert."""
    receiver.script += [receiver.hang] * 50
    stage.set_targets(
        {"name": "hangs", "type": "alertmanager", "url": receiver.url, "timeout_seconds": 60},
        {"name": "log", "type": "file", "path": "alerts.jsonl"},
        interval_seconds=0.2,
    )
    loop = stage.watch()
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        for count in range(1, 4):
            stage.alerts = [alerting.alert(f"a{number}") for number in range(count)]
            wait_until(lambda count=count: len(stage.lines()) == count)
    finally:
        loop.request_stop()
        thread.join(WAIT_SECONDS)
    assert not thread.is_alive()
    assert len(receiver.requests) == 1


def test_what_a_target_missed_waits_for_it(stage, alerting, receiver):
    """Queued across restarts, shown in `status` with the reason, delivered once the target answers."""
    stage.set_targets({"name": "hook", "type": "webhook", "url": receiver.url, "secret_file": "hook.key"})
    (stage.lake.path / "hook.key").write_text("0123456789012345678901234567")
    (stage.lake.path / "hook.key").chmod(0o600)
    receiver.script += [(503, b"later"), (200, b"")]
    stage.alerts = [alerting.alert()]
    stage.watch().run_once()
    (queue,) = alert_status(stage.context())["targets"]
    assert (queue["target"], queue["waiting"], queue["last_sent_unix_nano"]) == ("hook", 1, None)
    assert "got 503 later" in queue["problem"]
    loop = stage.watch()
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        receiver.wait_for(lambda requests: len(requests) == 2)
        wait_until(lambda: alert_status(stage.context())["targets"][0]["waiting"] == 0)
    finally:
        loop.request_stop()
        thread.join(WAIT_SECONDS)
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert alert_status(stage.context())["targets"][0]["problem"] is None


def test_only_one_process_watches_a_lake(stage):
    """A second `--once` is refused, a second loop stands by and takes over."""
    first, second = stage.watch(), stage.watch()
    threads = [threading.Thread(target=loop.run) for loop in (first, second)]
    threads[0].start()
    wait_until(lambda: read_state(stage.lake) is not None)
    with pytest.raises(UnavailableError, match="watched already"):
        stage.watch().run_once()
    threads[1].start()
    wait_until(lambda: any("standing by" in said for said in stage.said))
    first.request_stop()
    threads[0].join(WAIT_SECONDS)
    before = read_state(stage.lake).round_unix_nano
    wait_until(lambda: read_state(stage.lake).round_unix_nano > before)
    second.request_stop()
    threads[1].join(WAIT_SECONDS)


def test_a_round_that_fails_is_followed_by_the_next(stage, alerting):
    """Whatever goes wrong in a round, the loop says so and goes on."""
    stage.set_targets({"name": "log", "type": "file", "path": "alerts.jsonl"}, interval_seconds=0.1)
    loop = stage.watch()
    control = stage.lake.control_file
    aside = control.with_name("aside.db")
    control.rename(aside)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        wait_until(lambda: any("a round failed" in said for said in stage.said))
        stage.alerts = [alerting.alert()]
        aside.rename(control)
        wait_until(stage.lines)
    finally:
        loop.request_stop()
        thread.join(WAIT_SECONDS)


def test_a_target_that_is_gone_from_the_settings_is_forgotten(stage, alerting):
    """Nothing waits for a target that no longer exists."""
    stage.set_targets({"name": "old", "type": "alertmanager", "url": "http://127.0.0.1:1"})
    stage.alerts = [alerting.alert()]
    stage.watch().run_once()
    stage.set_targets({"name": "log", "type": "file", "path": "alerts.jsonl"})
    stage.watch().run_once()
    assert {each.target for each in stage.context().control.list_deliveries()} == {"log"}
    assert [line["status"] for line in stage.lines()] == ["firing"]


def wait_until(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
