"""Figures of rounds on a collector: those of the last round, and none once rounds have stopped."""

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from muniment.alert_measures import observe_alerts
from muniment.alert_points import alert_gauges
from muniment.alert_state import FILE, AlertState, StateReader, read_state, write_state
from pipelines.alerts.gauges import Point, merge_points


@pytest.fixture
def observed(lake, alerting, monkeypatch):
    """Reads the gauges of a collector at an instant: name → [(attributes, value)]."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    monkeypatch.setattr(metrics, "get_meter", provider.get_meter)
    now = [alerting.NOW]
    observe_alerts(lake, lambda: now[0])

    def read(seconds):
        now[0] = alerting.NOW + seconds * alerting.SECOND
        data = reader.get_metrics_data()
        found = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found[metric.name] = [(dict(p.attributes), p.value) for p in metric.data.data_points]
        return {name: points for name, points in found.items() if points}

    yield read
    provider.shutdown()


def state(alerting, **fields):
    row = alerting.record(alerting.alert())
    over = alerting.record(alerting.alert("b", ends_unix_nano=alerting.NOW + 1))
    points = alert_gauges([row, over], {"pager": 2}, 1.5)
    return AlertState(alerting.NOW, 1.5, 60.0, points=points, **fields)


def test_figures_of_the_last_round(lake, alerting, observed):
    """What fires, what waits, how long the round took and how long ago it was."""
    write_state(lake, state(alerting))
    assert observed(30) == {
        "muniment.alerts.firing": [({"tenant": "acme", "alert": "slow", "kind": "slo", "severity": "page"}, 1)],
        "muniment.alerts.queued": [({"target": "pager"}, 2)],
        "muniment.alerts.round.duration": [({}, 1.5)],
        "muniment.alerts.round.age": [({}, 30.0)],
    }


def test_old_figures_are_not_shown_as_those_of_now(lake, alerting, observed):
    """After three intervals without a round only its age is left."""
    write_state(lake, state(alerting))
    assert set(observed(181)) == {"muniment.alerts.round.age"}


def test_without_a_round_there_are_no_figures(observed):
    """Not zero: nothing."""
    assert observed(0) == {}


def test_a_new_round_is_seen(lake, alerting):
    """The reader keeps what it read until the file is another one."""
    reader = StateReader(lake)
    write_state(lake, state(alerting))
    assert reader.read() is reader.read()
    write_state(lake, AlertState(alerting.NOW + 1, 1.0, 60.0))
    assert reader.read().round_unix_nano == alerting.NOW + 1


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"points": 1}', b"\xff"])
def test_a_damaged_state_is_none(lake, content):
    """A file of another version, or half of one, is as if there were none."""
    (lake.run / FILE).write_bytes(content)
    assert read_state(lake) is None


def test_a_state_is_read_as_it_was_written(lake, alerting):
    """Problems and points come back."""
    written = state(alerting, problems=("slos: no",))
    write_state(lake, written)
    assert read_state(lake) == written


def test_points_of_several_sources_are_put_together():
    """Under one name; a gauge that nobody knows is an error of the code, not a metric."""
    one, two = Point({"a": "1"}, 1), Point({"a": "2"}, 2)
    assert merge_points([{"muniment.slo.target": (one,)}, {"muniment.slo.target": (two,)}]) == {
        "muniment.slo.target": (one, two)
    }
    with pytest.raises(ValueError, match=r"muniment\.nothing"):
        merge_points([{"muniment.nothing": (one,)}])
