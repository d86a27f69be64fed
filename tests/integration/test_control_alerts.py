"""Alerts and deliveries in the control database, SQLite and PostgreSQL."""

import pytest

from warehouse.clock import system_clock
from warehouse.control import AlertRecord, ControlStore, DeliveryRecord

ALERT = AlertRecord("f1", "acme", '{"name": "x"}', starts_unix_nano=5, seen_unix_nano=6)


@pytest.fixture
def control(control_url):
    with ControlStore.open(control_url, clock=system_clock) as store:
        yield store


def test_alerts_survive_the_process(control, control_url):
    """Another store on the same database reads what was kept, whole."""
    ended = AlertRecord("f2", "_lake", "{}", 1, 2, ends_unix_nano=3, began_recorded=True, end_recorded=True)
    control.keep_alerts([ALERT, ended])
    with ControlStore.open(control_url, clock=system_clock) as other:
        assert other.list_alerts() == [ended, ALERT]


def test_an_alert_is_replaced_whole(control):
    """One row for each fingerprint."""
    control.keep_alerts([ALERT])
    changed = AlertRecord("f1", "acme", "{}", 7, 8)
    control.keep_alerts([changed])
    assert control.list_alerts() == [changed]


def test_what_is_forgotten_goes_with_its_deliveries(control):
    """No delivery stays without its alert."""
    control.keep_alerts([ALERT])
    control.keep_deliveries([DeliveryRecord("a", "f1"), DeliveryRecord("a", "other")])
    control.keep_alerts([], forget=["f1"])
    assert control.list_alerts() == []
    assert [each.fingerprint for each in control.list_deliveries()] == ["other"]


def test_queueing_leaves_what_was_told(control):
    """A row is added where there is none; one that a courier keeps stays as it is."""
    told = DeliveryRecord(
        "a", "f1", starts_unix_nano=1, ended=True, severity="page", sent_unix_nano=2, attempts=3, tried_unix_nano=4,
        retry_unix_nano=5, problem="p",
    )  # fmt: skip
    control.keep_deliveries([told])
    control.add_deliveries([DeliveryRecord("a", "f1"), DeliveryRecord("b", "f1")])
    assert control.list_deliveries() == [told, DeliveryRecord("b", "f1")]
    assert control.list_deliveries("a") == [told]


def test_targets_that_settings_no_longer_have(control):
    """What they were told is dropped."""
    control.keep_deliveries([DeliveryRecord("a", "f1"), DeliveryRecord("b", "f1")])
    control.forget_targets(["b", "c"])
    assert [each.target for each in control.list_deliveries()] == ["b"]
