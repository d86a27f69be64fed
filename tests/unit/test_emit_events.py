"""`muniment.emit`: the events, their fields, and what goes over the wire."""

import inspect
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from muniment.emit import Actor, Emitter, InvalidEventError, Policy, Resource
from muniment.emit.change_events import ChangeEvents
from muniment.emit.event import Receipt
from muniment.emit.identity_events import IdentityEvents
from muniment.emit.transport import Address
from muniment.emit.wire import new_record_id, refused_count
from muniment.emit.work_events import WorkEvents
from warehouse.catalogue import CATALOGUE, is_own

FAMILIES = (IdentityEvents, ChangeEvents, WorkEvents)
ALICE = Actor("alice@example.com", "human")
NOVEMBER = 1_795_392_000_000_000_000

# Arguments with which each event is complete.
COMPLETE = {
    "agent.registered": {"agent_id": "buyer"},
    "agent.updated": {"agent_id": "buyer", "agent_version": "2"},
    "agent.suspended": {"agent_id": "buyer", "reason": "loops"},
    "agent.retired": {"agent_id": "buyer"},
    "credential.issued": {"credential_id": "c1"},
    "credential.rotated": {"credential_id": "c1"},
    "credential.revoked": {"credential_id": "c1", "reason": "left"},
    "credential.compromised": {"credential_id": "c1", "reason": "seen in a log"},
    "consent.granted": {"subject_id": "p1", "purpose": "support"},
    "consent.withdrawn": {"subject_id": "p1", "purpose": "support"},
    "access.decided": {
        "action": "read",
        "resource": Resource("invoice", "i1"),
        "outcome": "denied",
        "policy": Policy("finance", "7"),
    },
    "approval.requested": {"approval_id": "a1", "action": "pay", "action_digest": "d1"},
    "approval.granted": {"approval_id": "a1", "actor": ALICE, "tool_name": "pay", "tool_arguments": {"eur": 5}},
    "approval.denied": {"approval_id": "a1", "actor": ALICE},
    "approval.expired": {"approval_id": "a1"},
    "tool.changed": {"tool_name": "pay", "before": "1", "after": "2"},
    "prompt.changed": {"prompt_name": "greet", "before": None, "after": "1"},
    "model.switched": {"agent_id": "buyer", "before": "m1", "after": "m2"},
    "route.decided": {"provider": "p", "model": "m", "data_class": "personal", "policy": Policy("residency")},
    "gate.evaluated": {"gate_id": "g1", "resource": Resource("release", "r1"), "outcome": "failure"},
    "release.promoted": {"release_id": "r1", "environment": "production"},
    "migration.started": {"migration_id": "m1"},
    "migration.cutover": {"migration_id": "m1"},
    "migration.rolled_back": {"migration_id": "m1", "reason": "slow"},
    "evaluation.recorded": {"evaluation_name": "tone", "score": 0.5, "resource": Resource("agent", "buyer")},
    "handoff.requested": {"handoff_id": "h1", "from_agent": "a", "to_agent": "b"},
    "handoff.accepted": {"handoff_id": "h1", "from_agent": "a", "to_agent": "b"},
    "handoff.declined": {"handoff_id": "h1", "from_agent": "a", "to_agent": "b", "reason": "busy"},
    "handoff.completed": {"handoff_id": "h1", "from_agent": "a", "to_agent": "b"},
    "message.sent": {"message_id": "m1", "recipient": "bob"},
    "workflow.started": {"workflow_id": "w1"},
    "workflow.waiting": {"workflow_id": "w1", "reason": "approval a1"},
    "workflow.resumed": {"workflow_id": "w1"},
    "workflow.compensated": {"workflow_id": "w1", "reason": "refund"},
    "workflow.completed": {"workflow_id": "w1"},
    "workflow.failed": {"workflow_id": "w1", "reason": "no stock"},
}
NOT_NEEDED_ALONE = {"agent_version", "before", "action_digest", "tool_name", "tool_arguments", "score"}
"""Fields of COMPLETE that an event can do without, or that have a case of their own."""


def method_name(event_name):
    """The method that records an event."""
    return event_name.replace(".", "_")


@pytest.fixture
def spooling(tmp_path):
    """An emitter that only queues, so that a test can read what would be sent."""
    emitter = Emitter(
        api_key="key-1234",
        service_name="shop",
        agent_id="buyer",
        endpoint="http://127.0.0.1:9",
        spool_dir=tmp_path / "spool",
        background=False,
        timeout_seconds=0.05,
        clock=lambda: NOVEMBER,
    )
    yield emitter
    emitter.close()


def queued(emitter):
    """The log record that stands first on the queue."""
    entry = emitter._spool.oldest()
    request = json.loads(entry.body)
    emitter._spool.settle(entry)
    (resource_logs,) = request["resourceLogs"]
    (scope_logs,) = resource_logs["scopeLogs"]
    (record,) = scope_logs["logRecords"]
    return record, {pair["key"]: pair["value"] for pair in resource_logs["resource"]["attributes"]}


def attributes(record):
    """Attributes of a record, without the type of their values."""
    return {pair["key"]: next(iter(pair["value"].values())) for pair in record["attributes"]}


def test_methods_are_the_catalogue():
    """There is exactly one method for each event of the catalogue that is not Muniment's own."""
    methods = {name for family in FAMILIES for name, _ in inspect.getmembers(family, inspect.isfunction)}
    assert {name for name in methods if not name.startswith("_")} == {
        method_name(event) for event in CATALOGUE if not is_own(event)
    }


def test_table_of_this_file_is_the_catalogue():
    """Every event of the catalogue that an application may send is tried below."""
    assert set(COMPLETE) == {event for event in CATALOGUE if not is_own(event)}


@pytest.mark.parametrize("event", sorted(COMPLETE))
def test_each_event_goes_out_under_its_name(spooling, event):
    """A complete event carries its catalogue name, an actor, an outcome, and its stamps."""
    receipt = getattr(spooling, method_name(event))(**COMPLETE[event])
    record, resource = queued(spooling)
    kept = attributes(record)
    assert record["eventName"] == event
    assert kept["audit.actor.id"] in {"buyer", "alice@example.com"}
    assert kept["audit.outcome"] in {"success", "failure", "denied"}
    assert (kept["audit.record.id"], kept["audit.sequence.stream"]) == (receipt.record_id, spooling.stream)
    assert kept["audit.sequence.number"] == str(receipt.number)
    assert resource == {"service.name": {"stringValue": "shop"}, "gen_ai.agent.id": {"stringValue": "buyer"}}


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (event, field)
        for event, arguments in sorted(COMPLETE.items())
        for field in arguments
        if field not in NOT_NEEDED_ALONE
    ],
)
def test_each_event_names_the_field_that_it_misses(spooling, event, field):
    """An event without a field that it needs is refused, naming the field, and takes no number."""
    arguments = {**COMPLETE[event], field: ""}
    with pytest.raises(ValueError, match=rf"{event} .*expected.*{field}"):
        getattr(spooling, method_name(event))(**arguments)
    assert spooling.agent_registered(agent_id="buyer").number == 0


@pytest.mark.parametrize(
    ("event", "arguments", "message"),
    [
        ("approval_granted", {"approval_id": "a", "actor": ALICE}, "bound to no call: expected action_digest, or tool"),
        (
            "approval_granted",
            {"approval_id": "a", "actor": ALICE, "tool_name": "pay"},
            "expected action_digest, or tool_name and tool_arguments",
        ),
        ("evaluation_recorded", {"evaluation_name": "e"}, "no result: expected score or label"),
        ("agent_retired", {"agent_id": "a", "attributes": {"audit.record.id": "x"}}, "got audit.record.id"),
        ("agent_retired", {"agent_id": "a", "attributes": {"gen_ai.agent.id": "x"}}, "got gen_ai.agent.id"),
        ("agent_retired", {"agent_id": "a", "actor": Actor("")}, "empty audit.actor.id"),
        ("agent_retired", {"agent_id": "a", "body": 2**63}, "expected a 64-bit integer, got 9223372036854775808"),
        ("agent_retired", {"agent_id": "a", "body": {"x": object()}}, "body x cannot be sent"),
        ("agent_retired", {"agent_id": "a", "body": "\ud800"}, "not Unicode text"),
        ("agent_retired", {"agent_id": "a", "attributes": {"\ud800": 1}}, "not Unicode text"),
        ("agent_retired", {"agent_id": "a", "body": json.loads("[" * 40 + "]" * 40)}, "nested too deep"),
    ],
)
def test_impossible_fields_are_refused(spooling, event, arguments, message):
    """What cannot make an event raises a ValueError that says got and expected, before anything is queued."""
    with pytest.raises(InvalidEventError, match=message):
        getattr(spooling, event)(**arguments)
    assert spooling.flush(0).waiting == 0


def test_no_actor_is_refused(tmp_path):
    """Without an agent of its own, an emitter wants an actor for each event."""
    with (
        Emitter(api_key="k", service_name="s", spool_dir=tmp_path, background=False, timeout_seconds=0.01) as emitter,
        pytest.raises(InvalidEventError, match="has no actor: expected `actor`"),
    ):
        emitter.agent_retired(agent_id="a")


def test_common_fields_have_their_audit_names(spooling):
    """Each common argument goes out under the `audit.*` name of the record model."""
    spooling.workflow_waiting(
        workflow_id="w1",
        actor=ALICE,
        on_behalf_of="bob",
        action="refund",
        resource=Resource("order", "o9"),
        outcome="pending",
        reason="needs a second pair of eyes",
        policy=Policy("refunds", "3"),
        approval_id="a7",
        subject_id="p5",
        body={"lines": [1, 2.5, True, None, b"\x00\xff"]},
        attributes={"shop.region": "eu"},
        time_unix_nano=NOVEMBER - 1,
    )
    record, _ = queued(spooling)
    kept = attributes(record)
    del kept["audit.record.id"], kept["audit.sequence.stream"], kept["audit.sequence.number"]
    assert kept == {
        "audit.actor.id": "alice@example.com",
        "audit.actor.type": "human",
        "audit.on_behalf_of": "bob",
        "audit.action": "refund",
        "audit.resource.type": "order",
        "audit.resource.id": "o9",
        "audit.outcome": "pending",
        "audit.reason": "needs a second pair of eyes",
        "audit.policy.id": "refunds",
        "audit.policy.version": "3",
        "audit.approval.id": "a7",
        "audit.subject.id": "p5",
        "shop.region": "eu",
    }
    assert record["timeUnixNano"] == "1795391999999999999"
    assert record["observedTimeUnixNano"] == "1795392000000000000"
    values = [{"intValue": "1"}, {"doubleValue": 2.5}, {"boolValue": True}, {}, {"bytesValue": "AP8="}]
    assert record["body"]["kvlistValue"]["values"] == [{"key": "lines", "value": {"arrayValue": {"values": values}}}]


@pytest.mark.parametrize(
    ("value", "expected"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (1e300, 1e300)]
)
def test_floats_follow_protojson(spooling, value, expected):
    """Floats that JSON has no number for are written as ProtoJSON's text."""
    spooling.evaluation_recorded(evaluation_name="e", score=value, resource=Resource("agent", "a"))
    assert attributes(queued(spooling)[0])["gen_ai.evaluation.score.value"] == expected


def test_span_context_is_carried(spooling):
    """An event inside a span carries that span's ids in hex; outside it carries none."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    with tracer.start_as_current_span("work") as span:
        spooling.agent_retired(agent_id="a")
    spooling.agent_retired(agent_id="a")
    inside, outside = queued(spooling)[0], queued(spooling)[0]
    context = span.get_span_context()
    assert (int(inside["traceId"], 16), int(inside["spanId"], 16)) == (context.trace_id, context.span_id)
    assert (len(inside["traceId"]), len(inside["spanId"])) == (32, 16)
    assert inside["flags"] == int(context.trace_flags)
    assert not {"traceId", "spanId"} & set(outside)


@pytest.mark.parametrize("random_bits", ["7cc398c4dc0c0c07398f", "fcc3d8c4dc0c0c07398f", "0cc318c4dc0c0c07398f"])
def test_record_id_is_a_uuid7(random_bits):
    """A record id is the UUIDv7 of RFC 9562 appendix A.6 for that vector's time and random bits."""
    unix_nano = 0x017F22E279B0 * 1_000_000 + 999_999
    text = new_record_id(unix_nano, lambda count: bytes.fromhex(random_bits)[:count])
    assert text == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", (0, "")),
        (b"{}", (0, "")),
        (b'{"partialSuccess":{}}', (0, "")),
        (b'{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no"}}', (1, "no")),
        (b'{"partialSuccess":{"rejectedLogRecords":1}}', (1, "")),
        (b'{"partialSuccess":{"errorMessage":"a warning"}}', (0, "a warning")),
    ],
)
def test_answers_are_read(answer, expected):
    """Counts arrive as text or as numbers, and a message alone refuses nothing."""
    assert refused_count(answer) == expected


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html>", "Expecting value"),
        (b"[]", "no ExportLogsServiceResponse"),
        (b'{"partialSuccess":7}', "no ExportLogsServiceResponse"),
        (b"\xff", "can't decode"),
        (b'{"partialSuccess":{"rejectedLogRecords":"x"}}', "invalid literal"),
    ],
)
def test_other_answers_are_none(answer, message):
    """What is not an OTLP answer is not taken for an acknowledgement."""
    with pytest.raises(ValueError, match=message):
        refused_count(answer)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://127.0.0.1:4318", ("127.0.0.1", 4318, "/v1/logs", False)),
        ("http://localhost:4318/", ("localhost", 4318, "/v1/logs", False)),
        ("http://[::1]:4318/v1/logs", ("::1", 4318, "/v1/logs", False)),
        ("https://lake.example/otlp", ("lake.example", 443, "/otlp/v1/logs", True)),
    ],
)
def test_endpoints_are_taken_apart(endpoint, expected):
    """An endpoint may name the receiver or the logs path itself."""
    address = Address.parse(endpoint, unsafe_plain_http=False)
    assert (address.host, address.port, address.path, address.tls) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"endpoint": "127.0.0.1:4318"}, "no HTTP address"),
        ({"endpoint": "grpc://127.0.0.1:4317"}, "no HTTP address"),
        ({"endpoint": "http://lake.example:4318"}, "send the key in clear text"),
        ({"endpoint": "https://user:pass@lake.example"}, "more than an address"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "two\nlines"}, "api_key"),
        ({"service_name": ""}, "service_name"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"spool_max_bytes": 0}, "spool_max_bytes"),
    ],
)
def test_settings_are_checked_at_the_start(settings, message):
    """Settings that cannot work raise at once, and no message repeats the key."""
    with pytest.raises(ValueError, match=message) as caught:
        Emitter(**{"api_key": "secret-key", "service_name": "s", **settings})
    assert "secret" not in str(caught.value)
    assert "pass" not in str(caught.value)


def test_plain_http_to_another_machine_has_to_be_allowed():
    """Sending the key in clear text is possible only under the name that says so."""
    where = {"api_key": "k", "service_name": "s", "endpoint": "http://lake.example:4318", "agent_id": "a"}
    with pytest.raises(ValueError, match="unsafe_plain_http=True"):
        Emitter(**where)
    with Emitter(**where, unsafe_plain_http=True) as emitter:
        assert not emitter._address.tls


def test_key_is_not_shown(spooling):
    """No text form of an emitter shows its key."""
    shown = f"{spooling!r} {spooling!s} {spooling._transport!r} {spooling._address!r}"
    assert "key-1234" not in shown
    assert repr(Receipt("r", "s", 3, acknowledged=True)).endswith("acknowledged=True)")


def test_it_needs_the_sdk_alone():
    """Importing and building an emitter loads the standard library, OpenTelemetry's API and SDK, and nothing else."""
    program = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or name.startswith(("muniment", "warehouse", "opentelemetry")):
            if not name.startswith(("opentelemetry.exporter", "opentelemetry.proto", "opentelemetry.instrumentation")):
                return None
        if top == "typing_extensions":
            return None
        raise ImportError(f"{name} is not the SDK's")
sys.meta_path.insert(0, Refuse())
from muniment.emit import Emitter
Emitter(api_key="k", service_name="s").close()
own = sorted(name for name in sys.modules if name.startswith("warehouse"))
print(own)
"""
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=240, check=False
    )
    assert result.stderr == ""
    assert result.stdout.strip() == "['warehouse', 'warehouse.clock', 'warehouse.errors']"
