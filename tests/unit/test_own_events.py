"""Muniment's own audit events."""

import json

import pytest

from warehouse.catalogue import CATALOGUE
from warehouse.own_events import OwnEvent, own_event_records
from warehouse.tables import AUDIT_EVENTS

NOW = 1_795_392_000_000_000_000  # 2026-11-23T00:00:00Z


def rows_of(*events):
    return own_event_records(events, now_unix_nano=NOW).tables["audit_events"].to_pylist()


def test_an_event_becomes_a_row_of_audit_events_with_who_when_and_what():
    """Tenant, time, principal and fields stand in their columns, everything else in the attributes."""
    event = OwnEvent(
        "acme", "data.exported", "user:alice", fields={"resource_type": "query", "reason": "audit"},
        attributes={"muniment.rows": 7}, peer="local",
    )  # fmt: skip
    records = own_event_records([event], now_unix_nano=NOW)
    assert records.tables["audit_events"].schema == AUDIT_EVENTS.decoded_schema
    (row,) = records.tables["audit_events"].to_pylist()
    told = {name: value for name, value in row.items() if value is not None}
    assert str(told.pop("day")) == "2026-11-23"
    assert json.loads(told.pop("attributes")) == {"muniment.rows": 7}
    assert json.loads(told.pop("resource")) == {"service.name": "muniment"}
    assert told == {
        "tenant_id": "acme", "event_name": "data.exported", "recorded_by": "user:alice", "peer": "local",
        "actor_id": "alice", "actor_type": "human", "resource_type": "query", "reason": "audit", "outcome": "success",
        "schema_version": 1, "received_unix_nano": NOW, "time_unix_nano": NOW, "observed_unix_nano": NOW,
        "service_name": "muniment", "scope_name": "muniment", "severity_number": 9, "severity_text": "INFO",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("recorded_by", "actor_type"),
    [("user:alice", "human"), ("oidc:a|1", "human"), ("muniment:collector", "service"), ("key:k1", "service")],
)
def test_only_persons_are_human_actors(recorded_by, actor_type):
    """A local or signed-in user is a person; a job and an API key are not."""
    assert rows_of(OwnEvent("acme", "key.issued", recorded_by))[0]["actor_type"] == actor_type


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            OwnEvent("acme", "coffee.made", "user:a"),
            "own event name: expected one of the audit catalogue, got 'coffee.made'",
        ),
        (OwnEvent("acme", "key.issued", "user:a", fields={"colour": "red"}), r"got \['colour'\]"),
        (OwnEvent("acme", "key.issued", "user:a", fields={"recorded_by": "user:b"}), r"got \['recorded_by'\]"),
        (OwnEvent("acme", "key.issued", "user:a", fields={"tenant_id": "other"}), r"got \['tenant_id'\]"),
        (OwnEvent("acme", "key.issued", "user:a", fields={"log_index": 1}), r"got \['log_index'\]"),
    ],
)
def test_an_event_cannot_be_misnamed_or_claim_to_be_somebody_elses(event, expected):
    """Names come from the catalogue, fields from the table, and never those that say who recorded it where."""
    with pytest.raises(ValueError, match=expected):
        rows_of(event)


def test_every_event_of_the_catalogue_can_be_recorded():
    """No name of the catalogue is refused."""
    events = [OwnEvent("_lake", name, "muniment:test") for name in sorted(CATALOGUE)]
    assert [row["event_name"] for row in rows_of(*events)] == sorted(CATALOGUE)


def test_an_event_survives_the_way_through_another_process():
    """What is handed over as JSON makes the same event there."""
    event = OwnEvent("acme", "hold.placed", "user:a", {"reason": "case 7"}, {"n": 1}, "local")
    assert OwnEvent(**json.loads(json.dumps(event.to_json()))) == event
