"""Incidents through the loop that alerts: told while nobody took them on, whatever becomes of their rule."""

import json

import msgspec
import pytest

from muniment.alert_sources import SOURCES, by_tenant
from muniment.alert_state import read_state
from muniment.alerting import AlertWatch
from muniment.incident_alerts import MOST_ALERTS
from muniment.incident_handling import acknowledge
from pipelines.alerts.config import AlertsConfig
from warehouse.errors import ControlUnavailableError, UnavailableError

MINUTE = 60_000_000_000


@pytest.fixture
def rounds(lake):
    """Runs rounds of a loop that starts anew each time; returns what the file was told since."""
    targets = [{"name": "log", "type": "file", "path": "alerts.jsonl", "severities": ["page", "ticket"]}]
    config = msgspec.convert({"targets": targets}, AlertsConfig)
    lake.context.settings = msgspec.structs.replace(lake.context.settings, alerts=config)
    file = lake.context.lake.path / "alerts.jsonl"
    seen = 0

    def run():
        nonlocal seen
        lake.now += MINUTE
        done, _ = AlertWatch(lake.context, SOURCES, say=lambda _text: None).run_once()
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        new, seen = lines[seen:], len(lines)
        return done, [(line["name"], line["status"], line["severity"], line["tenant"]) for line in new]

    return run


def test_an_incident_is_told_until_somebody_takes_it_on(lake, rounds):
    """Opened, it is told once; acknowledged, it is told as resolved; the lake's figures show it as open all the while."""
    lake.spans(0)
    done, told = rounds()
    assert (done.problems, told) == ((), [("failing", "firing", "page", "acme")])
    assert rounds()[1] == []
    points = read_state(lake.context.lake).points["muniment.incidents.open"]
    (point,) = [each for each in points if each.attributes["tenant"] == "acme"]
    assert dict(point.attributes) == {"tenant": "acme", "rule": "failing", "severity": "high", "state": "opened"}
    (incident,) = lake.control.list_incidents(["acme"])
    acknowledge(lake.context, incident.id, owner=None, note=None)
    assert rounds()[1] == [("failing", "resolved", "page", "acme")]
    points = read_state(lake.context.lake).points["muniment.incidents.open"]
    assert [each.attributes["state"] for each in points if each.attributes["tenant"] == "acme"] == ["acknowledged"]


def test_thousands_of_incidents_are_not_thousands_of_alerts(lake):
    """The first of a rule have an alert each and keep it; how many others there are is one more, until they fit again."""
    for agent in range(MOST_ALERTS):
        lake.spans(0, agent=f"bot-{agent}")
    first = {alert.labels["incident"] for alert in lake.detect(minute=1).alerts}
    assert len(first) == MOST_ALERTS
    lake.spans(*[-5] * 3, agent="early")
    lake.spans(0, agent="late")
    alerts = {alert.labels["incident"]: alert for alert in lake.detect(minute=2).alerts}
    assert alerts.keys() == first | {"others"}
    assert (alerts["others"].value, alerts["others"].severity) == (2.0, "page")
    for incident in sorted(first)[:2]:
        acknowledge(lake.context, incident, owner=None, note=None)
    assert "others" not in {alert.labels["incident"] for alert in lake.detect(minute=3).alerts}


def test_a_legal_clock_is_told_at_half_of_its_time(lake, rounds):
    """36 of 72 hours after an incident was found, the clock's own alert follows."""
    lake.spans(0)
    rounds()
    lake.now += 37 * 60 * MINUTE
    assert ("legal-clock-gdpr-33", "firing", "ticket", "acme") in rounds()[1]


def test_a_rule_that_fails_ends_no_alert(lake, rounds):
    """What it found before is still nobody's, and the round says which rule fails."""
    lake.spans(0)
    rounds()
    lake.apply(
        'version: 1\nrules:\n  - {id: failing, title: t, severity: high, runbook: a.md, reads: new, sql: "select '
        "time_unix_nano, 'spans' as source_table, shard, log_index, trace_id, agent_id, 'x' as detail from spans "
        "where error('no') is null\"}\n"
    )
    lake.spans(5)
    done, told = rounds()
    assert told == []
    assert any("rule failing of acme" in problem for problem in done.problems)


def test_a_tenant_that_cannot_be_read_keeps_no_other_from_being_evaluated(lake):
    """Where all at once fails, each is tried alone, and those that fail are named with the reason."""
    lake.control.add_tenant("bad")

    def run(tenants):
        if tenants is None or "bad" in tenants:
            raise UnavailableError("its files are gone")
        return tenants[0]

    assert by_tenant(lake.context, run) == (["_lake", "acme"], {"bad": "its files are gone"})


def test_without_a_control_database_nothing_is_guessed(lake):
    """Nobody can say which tenants there are, so the whole source fails."""

    def run(_tenants):
        raise ControlUnavailableError("gone")

    with pytest.raises(ControlUnavailableError):
        by_tenant(lake.context, run)
