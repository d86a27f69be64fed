"""Log records: audit events apart from logs, times and ids as OTLP means them, scopes of keys, external names."""

import json
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from collectors.costs import PriceBook
from collectors.decode import DecodedGroup, decode_group
from collectors.exports import Export, IntakeLimits, Sender, Signal
from warehouse.tables import TABLES

NOW = 1_790_000_000_000_000_000
SENDER = Sender(tenant_id="acme", key_id="k1", recorded_by="key:k1", peer="127.0.0.1:5")


def record(name: str = "", attributes: dict[str, str | int] | None = None, **fields: Any) -> LogRecord:
    made = LogRecord(**{"time_unix_nano": NOW, "event_name": name} | fields)
    for key, value in (attributes or {}).items():
        given = AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)
        made.attributes.add(key=key, value=given)
    return made


def decode(*records: LogRecord, sender: Sender = SENDER) -> DecodedGroup:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.extend(records)
    export = Export(Signal.LOGS, request.SerializeToString(), sender, NOW, b"d" * 16)
    return decode_group([export], limits=IntakeLimits(depth=3), prices=PriceBook())


def rows(group: DecodedGroup, table: str) -> list[dict[str, Any]]:
    if table not in group.records.tables:
        return []
    batch = group.records.tables[table]
    batch.validate(full=True)
    assert batch.schema == TABLES[table].decoded_schema
    return batch.to_pylist()


def test_audit_event_columns():
    """The `audit.*` attributes of a catalogue event fill its columns and stay in its attributes."""
    attributes: dict[str, str | int] = {
        "audit.actor.id": "alice",
        "audit.actor.type": "human",
        "audit.on_behalf_of": "bob",
        "audit.action": "payment.approve",
        "audit.resource.type": "invoice",
        "audit.resource.id": "4711",
        "audit.outcome": "success",
        "audit.reason": "within limit",
        "audit.policy.id": "p1",
        "audit.policy.version": 3,
        "audit.approval.id": "ap-1",
        "audit.action.digest": "abc",
        "audit.expires_unix_nano": str(NOW + 1),
        "audit.subject.id": "carol",
    }
    group = decode(record("approval.granted", attributes, severity_number=9, severity_text="INFO", flags=1))
    (row,) = rows(group, "audit_events")
    expected = {
        "event_name": "approval.granted",
        "actor_id": "alice",
        "actor_type": "human",
        "on_behalf_of": "bob",
        "action": "payment.approve",
        "resource_type": "invoice",
        "resource_id": "4711",
        "outcome": "success",
        "reason": "within limit",
        "policy_id": "p1",
        "policy_version": "3",
        "approval_id": "ap-1",
        "action_digest": "abc",
        "expires_unix_nano": NOW + 1,
        "assurance": "asserted",
        "subject_id": "carol",
        "severity_number": 9,
        "severity_text": "INFO",
        "flags": 1,
    }
    assert {name: row[name] for name in expected} == expected
    assert json.loads(row["attributes"]) == attributes
    assert group.counts.audit_events == 1


@pytest.mark.parametrize("expires", [NOW + 123, str(NOW + 123), f" {NOW + 123} "])
def test_expiry_is_exact(expires):
    """Nanoseconds of an expiry keep their last digit, as number and as text."""
    (row,) = rows(decode(record("approval.granted", {"audit.expires_unix_nano": expires})), "audit_events")
    assert row["expires_unix_nano"] == NOW + 123


NAMES = {
    "in the catalogue": ("agent.registered", "audit_events", "agent.registered"),
    "not in the catalogue": ("agent.danced", "logs", "agent.danced"),
    "no name": ("", "logs", None),
    "own family from outside": ("retention.purged", "audit_events", "external.retention.purged"),
    "own name from outside": ("data.exported", "audit_events", "external.data.exported"),
    "own prefix, unknown name": ("ledger.forged", "audit_events", "external.ledger.forged"),
    "claims to be external": ("external.retention.purged", "audit_events", "external.retention.purged"),
}


@pytest.mark.parametrize("case", NAMES)
def test_event_names_decide_the_table(case):
    """Catalogue events are audit events; Muniment's own names from outside are kept as external."""
    name, table, kept = NAMES[case]
    group = decode(record(name))
    assert list(group.records.tables) == [table]
    assert [row["event_name"] for row in rows(group, table)] == [kept]


def test_event_name_as_an_attribute():
    """The attribute `event.name` names a record that has no name of its own."""
    group = decode(record("", {"event.name": "agent.retired"}), record("x", {"event.name": "agent.retired"}))
    assert [row["event_name"] for row in rows(group, "audit_events")] == ["agent.retired"]
    assert [row["event_name"] for row in rows(group, "logs")] == ["x"]


def test_own_recorder_keeps_own_names():
    """Events that Muniment recorded itself are not external."""
    sender = Sender("acme", "", "muniment:retention", "local")
    (row,) = rows(decode(record("retention.purged"), sender=sender), "audit_events")
    assert row["event_name"] == "retention.purged"


TIMES = {
    "own time": ({"time_unix_nano": NOW - 5, "observed_time_unix_nano": NOW - 3}, NOW - 5, NOW - 3),
    "observed": ({"time_unix_nano": 0, "observed_time_unix_nano": NOW - 3}, NOW - 3, NOW - 3),
    "neither": ({"time_unix_nano": 0}, NOW, None),
}


@pytest.mark.parametrize("case", TIMES)
def test_time_of_a_record(case):
    """A record's time is its own, else when it was observed, else when it came."""
    fields, time, observed = TIMES[case]
    (row,) = rows(decode(record(**fields)), "logs")
    assert (row["time_unix_nano"], row["observed_unix_nano"]) == (time, observed)


IDS: dict[str, tuple[bytes, bytes, str | tuple[str | None, str | None]]] = {
    "none": (b"", b"", (None, None)),
    "zeros": (bytes(16), bytes(8), (None, None)),
    "both": (b"\x01" * 16, b"\x02" * 8, ("01" * 16, "02" * 8)),
    "trace alone": (b"\x01" * 16, b"", ("01" * 16, None)),
    "bad trace": (b"\x01" * 24, b"", "trace_id has wrong size: expected 16 bytes, got 24"),
    "bad span": (b"", b"\x01", "span_id has wrong size: expected 8 bytes, got 1"),
}


@pytest.mark.parametrize("case", IDS)
def test_ids_of_a_record(case):
    """Ids may be absent or all zero, which is absent; a wrong size is refused."""
    trace_id, span_id, expected = IDS[case]
    group = decode(record(trace_id=trace_id, span_id=span_id))
    if isinstance(expected, str):
        assert [refusal.message for _, refusal in group.refusals] == [expected]
    else:
        (row,) = rows(group, "logs")
        assert (row["trace_id"], row["span_id"]) == expected


def test_bodies():
    """Text stays text, other bodies become JSON text, none is NULL; messages go to contents."""
    array = AnyValue()
    array.array_value.values.extend([AnyValue(int_value=1), AnyValue(string_value='"')])
    message = AnyValue()
    message.kvlist_value.values.add(key="content", value=AnyValue(string_value="hi"))
    group = decode(
        record(body=AnyValue(string_value='plain "text"')),
        record(body=array),
        record(),
        record("gen_ai.user.message", body=message),
        record("gen_ai.choice", body=AnyValue(string_value="")),
        record("x", body=message),
    )
    assert [row["body"] for row in rows(group, "logs")] == [
        'plain "text"',
        '[1,"\\""]',
        None,
        None,
        None,
        '{"content":"hi"}',
    ]
    assert [
        (part["owner_table"], part["owner_index"], part["part"], part["body"], part["media_type"])
        for part in rows(group, "contents")
    ] == [("logs", 3, "body", '{"content":"hi"}', "application/json"), ("logs", 4, "body", "", "text/plain")]


def test_contents_of_both_tables_know_their_owner():
    """Contents count rows in their own owner table, though audit events and logs came mixed."""
    said = {"gen_ai.input.messages": "said", "gen_ai.agent.id": "a1"}
    group = decode(
        record("x"),
        record("message.sent", said),
        record("y", said),
        record("agent.updated"),
        record("message.sent", said),
    )
    assert [(part["owner_table"], part["owner_index"], part["agent_id"]) for part in rows(group, "contents")] == [
        ("audit_events", 0, "a1"),
        ("audit_events", 2, "a1"),
        ("logs", 1, "a1"),
    ]


def test_body_too_deep_is_refused():
    """The depth limit holds for bodies too."""
    body = AnyValue(int_value=1)
    for _ in range(4):
        outer = AnyValue()
        outer.kvlist_value.values.add(key="k", value=body)
        body = outer
    group = decode(record(body=body), record())
    assert [refusal.reason for _, refusal in group.refusals] == ["value-too-deep"]
    assert group.counts.logs == 1


def test_refused_event_says_its_name_and_can_be_replayed():
    """The refusal of a named record carries the name and the record as OTLP/JSON."""
    ((_, refusal),) = decode(record("approval.granted", trace_id=b"x")).refusals
    assert refusal.event_name == "approval.granted"
    assert refusal.record is not None
    (replayed,) = json.loads(refusal.record)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert replayed == {"timeUnixNano": str(NOW), "eventName": "approval.granted", "traceId": "78"}


SCOPED = Sender("acme", "k1", "key:k1", "p", agent="buyer", event_patterns=("approval.*", "message.sent"))
EVENTS_ONLY = Sender("acme", "k1", "key:k1", "p", event_patterns=("approval.*",))
AGENT_ONLY = Sender("acme", "k1", "key:k1", "p", agent="buyer")
AS_AGENT = {"audit.actor.type": "agent", "audit.actor.id": "buyer"}
AS_OTHER = {"audit.actor.type": "agent", "audit.actor.id": "seller"}
AS_HUMAN = {"audit.actor.type": "human", "audit.actor.id": "alice"}
SCOPES: dict[str, tuple[Sender, str, dict[str, str], str | None]] = {
    "matching event, bound": (SCOPED, "approval.granted", {}, "key-bound"),
    "matching event, agent as actor": (SCOPED, "approval.granted", AS_AGENT, "key-bound"),
    "matching event, human actor": (SCOPED, "approval.granted", AS_HUMAN, "key-bound"),
    "matching event, other agent": (SCOPED, "approval.granted", AS_OTHER, "refused"),
    "matching event, other agent named": (SCOPED, "approval.granted", {"gen_ai.agent.id": "seller"}, "refused"),
    "other event": (SCOPED, "agent.updated", {}, "refused"),
    "no event name": (SCOPED, "", {}, "refused"),
    "exact pattern": (SCOPED, "message.sent", {}, None),
    "pattern is not a prefix": (SCOPED, "message.sent.twice", {}, "refused"),
    "event scope alone": (EVENTS_ONLY, "approval.granted", {}, "asserted"),
    "event scope, other event": (EVENTS_ONLY, "workflow.started", {}, "refused"),
    "agent scope alone": (AGENT_ONLY, "approval.granted", AS_AGENT, "asserted"),
    "agent scope, other agent": (AGENT_ONLY, "workflow.started", AS_OTHER, "refused"),
    "no scope": (SENDER, "approval.denied", AS_OTHER, "asserted"),
    "no approval": (SENDER, "workflow.started", {}, None),
}


@pytest.mark.parametrize("case", SCOPES)
def test_scope_of_a_key(case):
    """A scoped key sends only what its scope names; an approval is bound to a key scoped to agent and event."""
    sender, name, attributes, expected = SCOPES[case]
    group = decode(record(name, dict(attributes)), sender=sender)
    if expected == "refused":
        assert [refusal.reason for _, refusal in group.refusals] == ["out-of-scope"]
        assert group.records.tables == {}
    else:
        assert [row["assurance"] for row in rows(group, "audit_events")] == [expected]
