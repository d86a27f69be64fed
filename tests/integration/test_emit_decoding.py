"""What `muniment.emit` sends is what the collectors read: every field lands in its column of `audit_events`."""

import pytest
from opentelemetry.sdk.trace import TracerProvider

from collectors.costs import PriceBook
from collectors.decode import decode_group
from collectors.exports import Export, IntakeLimits, Sender, Signal
from collectors.otlp_json import parse
from muniment.emit import Actor, Emitter, Policy, Resource

NOVEMBER = 1_795_392_000_000_000_000
SENDER = Sender(tenant_id="acme", key_id="k1", recorded_by="key:k1", peer="127.0.0.1:1")


@pytest.fixture
def emitter(tmp_path):
    """An emitter that only queues."""
    queueing = Emitter(
        api_key="key-1",
        service_name="shop",
        agent_id="buyer",
        endpoint="http://127.0.0.1:9",
        spool_dir=tmp_path,
        background=False,
        timeout_seconds=0.05,
        clock=lambda: NOVEMBER,
    )
    yield queueing
    queueing.close()


def decoded(emitter):
    """The one row that the queue's first entry becomes."""
    entry = emitter._spool.oldest()
    emitter._spool.settle(entry)
    limits = IntakeLimits()
    parsed = parse(Signal.LOGS, entry.body, limits)
    assert parsed.refused == ()
    export = Export(Signal.LOGS, parsed.protobuf, SENDER, NOVEMBER, digest=b"d" * 16)
    group = decode_group([export], limits=limits, prices=PriceBook())
    assert group.refusals == []
    (row,) = group.records.tables["audit_events"].to_pylist()
    return row


def test_every_common_field_has_its_column(emitter):
    """Actor, action, resource, outcome, reason, policy, approval, subject, digest, expiry, span and time arrive."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    with tracer.start_as_current_span("work") as span:
        emitter.approval_granted(
            approval_id="a7",
            actor=Actor("alice", "human"),
            on_behalf_of="bob",
            action="refund",
            resource=Resource("order", "o9"),
            reason="small",
            policy=Policy("refunds", "3"),
            subject_id="p5",
            action_digest="d1",
            expires_unix_nano=NOVEMBER + 1,
            time_unix_nano=NOVEMBER - 1,
        )
    row = decoded(emitter)
    context = span.get_span_context()
    expected = {
        "event_name": "approval.granted",
        "actor_id": "alice",
        "actor_type": "human",
        "on_behalf_of": "bob",
        "action": "refund",
        "resource_type": "order",
        "resource_id": "o9",
        "outcome": "success",
        "reason": "small",
        "policy_id": "refunds",
        "policy_version": "3",
        "approval_id": "a7",
        "subject_id": "p5",
        "action_digest": "d1",
        "expires_unix_nano": NOVEMBER + 1,
        "time_unix_nano": NOVEMBER - 1,
        "observed_unix_nano": NOVEMBER,
        "service_name": "shop",
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "severity_number": 9,
    }
    assert {name: row[name] for name in expected} == expected
    assert '"audit.sequence.number":0' in row["attributes"].replace(" ", "")


def test_an_event_of_the_agents_own_is_its_agents(emitter):
    """Where no actor is given the emitter's agent is the actor, of type agent."""
    emitter.workflow_failed(workflow_id="w1", reason="no stock", body="out of chairs")
    row = decoded(emitter)
    assert (row["event_name"], row["actor_id"], row["actor_type"]) == ("workflow.failed", "buyer", "agent")
    assert (row["resource_type"], row["resource_id"], row["outcome"]) == ("workflow", "w1", "failure")
