"""Spans reach their columns as OTLP means them, with events, links, resource and scope."""

import json
from typing import Any

import pyarrow as pa
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collectors.costs import PriceBook
from collectors.decode import DecodedGroup, decode_group
from collectors.exports import Export, IntakeLimits, Sender, Signal
from warehouse.tables import TABLES

NOW = 1_790_000_000_000_000_000
SENDER = Sender(tenant_id="acme", key_id="k1", recorded_by="key:k1", peer="127.0.0.1:5")


def text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def good_span(**fields: Any) -> Span:
    return Span(**{"trace_id": b"t" * 16, "span_id": b"s" * 8, "start_time_unix_nano": NOW, "name": "s"} | fields)


def decode_request(request: ExportTraceServiceRequest, sender: Sender = SENDER) -> DecodedGroup:
    export = Export(Signal.TRACES, request.SerializeToString(), sender, NOW, b"d" * 16)
    return decode_group([export], limits=IntakeLimits(), prices=PriceBook())


def decode(*spans: Span, sender: Sender = SENDER) -> DecodedGroup:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    return decode_request(request, sender)


def rows(group: DecodedGroup, table: str = "spans") -> list[dict[str, Any]]:
    batch = group.records.tables[table]
    batch.validate(full=True)
    assert batch.schema == TABLES[table].decoded_schema
    return batch.to_pylist()


def test_fields_of_a_span():
    """Every field of a span, its resource and its scope stands in its column."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add(schema_url="https://r/1")
    resource.resource.attributes.add(key="service.name", value=text('sh"op'))
    resource.resource.dropped_attributes_count = 4
    scope = resource.scope_spans.add(schema_url="https://s/1")
    scope.scope.name, scope.scope.version = "lib", "1.2"
    scope.scope.attributes.add(key="a", value=AnyValue(int_value=1))
    scope.spans.append(
        good_span(
            trace_id=bytes(range(16)),
            span_id=bytes(range(240, 248)),
            parent_span_id=bytes(range(8, 16)),
            trace_state="a=b",
            flags=257,
            name="näme",
            kind=Span.SPAN_KIND_SERVER,
            status=Status(code=Status.STATUS_CODE_ERROR, message="broke"),
            end_time_unix_nano=NOW + 5,
            dropped_attributes_count=1,
            dropped_events_count=2,
            dropped_links_count=3,
        )
    )
    (row,) = rows(decode_request(request))
    expected = {
        "tenant_id": "acme",
        "recorded_by": "key:k1",
        "peer": "127.0.0.1:5",
        "schema_version": 1,
        "received_unix_nano": NOW,
        "time_unix_nano": NOW,
        "end_unix_nano": NOW + 5,
        "duration_ns": 5,
        "skew_seconds": None,
        "trace_id": "000102030405060708090a0b0c0d0e0f",
        "span_id": "f0f1f2f3f4f5f6f7",
        "parent_span_id": "08090a0b0c0d0e0f",
        "trace_state": "a=b",
        "flags": 257,
        "name": "näme",
        "kind": "SERVER",
        "status_code": "ERROR",
        "status_message": "broke",
        "dropped_attributes_count": 1,
        "dropped_events_count": 2,
        "dropped_links_count": 3,
        "service_name": 'sh"op',
        "scope_name": "lib",
        "resource": '{"service.name":"sh\\"op"}',
        "attributes": "{}",
        "events": None,
        "links": None,
    }
    assert {name: row[name] for name in expected} == expected
    assert row["day"].isoformat() == "2026-09-21"
    assert json.loads(row["envelope"]) == {
        "scope_version": "1.2",
        "schema_url": "https://s/1",
        "resource_schema_url": "https://r/1",
        "scope_attributes": {"a": 1},
        "resource_dropped_attributes_count": 4,
    }


def test_absent_fields_are_null():
    """What a span does not say is NULL: parent, end, duration, status message, envelope, agent columns."""
    (row,) = rows(decode(good_span(parent_span_id=bytes(8))))
    names = ("parent_span_id", "trace_state", "end_unix_nano", "duration_ns", "status_message", "envelope", "events")
    assert [row[name] for name in (*names, "links", "service_name", "scope_name", "operation", "cost_microusd")] == (
        [None] * (len(names) + 5)
    )
    assert (row["kind"], row["status_code"], row["resource"], row["attributes"]) == ("UNSPECIFIED", "UNSET", "{}", "{}")


def test_clock_that_went_backwards():
    """An end before the start is kept as it came, without a duration."""
    (row,) = rows(decode(good_span(end_time_unix_nano=NOW - 7)))
    assert (row["end_unix_nano"], row["duration_ns"]) == (NOW - 7, None)


@pytest.mark.parametrize(
    ("seconds", "skew"), [(3_599, None), (3_600, 3_600), (-3_599, None), (-3_600, -3_600), (-90_000, -90_000)]
)
def test_skew_is_marked(seconds, skew):
    """A time an hour or more away from receipt is marked on the row."""
    (row,) = rows(decode(good_span(start_time_unix_nano=NOW + seconds * 1_000_000_000)))
    assert row["skew_seconds"] == skew


def test_unknown_enum_numbers():
    """A kind or status that this version does not know is kept as its number."""
    span = good_span()
    body = ExportTraceServiceRequest()
    body.resource_spans.add().scope_spans.add().spans.extend([span, good_span(kind=17, status=Status(code=9))])
    first, second = rows(decode_request(body))
    assert (first["kind"], first["status_code"]) == ("UNSPECIFIED", "UNSET")
    assert (second["kind"], second["status_code"]) == ("17", "9")


def test_events_and_links():
    """Events and links are JSON arrays in their order; NULL for the spans that have none."""
    span = good_span(
        events=[Span.Event(time_unix_nano=2**63 + 1, name='a"b'), Span.Event(time_unix_nano=5, name="c")],
        links=[
            Span.Link(trace_id=b"\x01" * 16, span_id=b"\x02" * 8, trace_state="x=y", flags=1),
            Span.Link(trace_id=b"\x03" * 16, span_id=b"\x04" * 8),
        ],
    )
    span.events[1].attributes.add(key="n", value=AnyValue(double_value=1))
    span.events[1].dropped_attributes_count = 2
    span.links[1].attributes.add(key="k", value=AnyValue(bool_value=True))
    plain, full = rows(decode(good_span(), span))
    assert (plain["events"], plain["links"]) == (None, None)
    assert json.loads(full["events"]) == [
        {"time_unix_nano": 2**63 + 1, "name": 'a"b', "attributes": {}},
        {"time_unix_nano": 5, "name": "c", "attributes": {"n": 1.0}, "dropped_attributes_count": 2},
    ]
    assert json.loads(full["links"]) == [
        {"trace_id": "01" * 16, "span_id": "02" * 8, "trace_state": "x=y", "flags": 1},
        {"trace_id": "03" * 16, "span_id": "04" * 8, "attributes": {"k": True}},
    ]


def test_contents_of_attributes_and_events():
    """Contents leave the attributes of spans and of their events, and say which part of what they were."""
    span = good_span(name="with contents")
    span.attributes.add(key="gen_ai.agent.id", value=text("a7"))
    span.attributes.add(key="gen_ai.input.messages", value=text(' [{"role":"user"}]'))
    span.attributes.add(key="llm.input_messages.0.message.content", value=text('say "hi"'))
    array = AnyValue()
    array.array_value.values.append(text("x"))
    span.attributes.add(key="gen_ai.output.messages", value=array)
    span.events.add(name="other").attributes.add(key="content", value=text("stays"))
    message = span.events.add(name="gen_ai.user.message")
    message.attributes.add(key="content", value=text("hello"))
    message.attributes.add(key="role", value=text("user"))
    group = decode(good_span(), span)
    owner = rows(group)[1]
    assert json.loads(owner["attributes"]) == {"gen_ai.agent.id": "a7"}
    assert [event["attributes"] for event in json.loads(owner["events"])] == [{"content": "stays"}, {"role": "user"}]
    parts = rows(group, "contents")
    assert [(part["part"], part["media_type"], part["body"]) for part in parts] == [
        ("gen_ai.input.messages", "application/json", ' [{"role":"user"}]'),
        ("llm.input_messages.0.message.content", "text/plain", 'say "hi"'),
        ("gen_ai.output.messages", "application/json", '["x"]'),
        ("events/1/content", "text/plain", "hello"),
    ]
    for part in parts:
        assert (part["owner_table"], part["owner_index"], part["agent_id"]) == ("spans", 1, "a7")
        assert (part["tenant_id"], part["day"], part["trace_id"]) == ("acme", owner["day"], owner["trace_id"])
        assert part["time_unix_nano"] == owner["time_unix_nano"]


def test_a_span_takes_its_agent_from_its_resource():
    """An agent that the resource names is the span's, unless the span names one itself."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="gen_ai.agent.name", value=text("from resource"))
    own = good_span()
    own.attributes.add(key="gen_ai.agent.name", value=text("own"))
    resource.scope_spans.add().spans.extend([good_span(), own])
    assert [row["agent_name"] for row in rows(decode_request(request))] == ["from resource", "own"]


def test_tenant_comes_from_the_key_alone():
    """A tenant in the payload stays an attribute and decides nothing."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    for key in ("tenant_id", "tenant.id", "a2a.tenant"):
        resource.resource.attributes.add(key=key, value=text("rival"))
    span = good_span()
    span.attributes.add(key="tenant_id", value=text("rival"))
    resource.scope_spans.add().spans.append(span)
    (row,) = rows(decode_request(request))
    assert (row["tenant_id"], json.loads(row["attributes"])) == ("acme", {"tenant_id": "rival"})


def test_senders_of_one_group_stay_apart():
    """Rows of a group carry the tenant, key, peer and receipt of their own request."""
    exports = [
        Export(
            Signal.TRACES,
            ExportTraceServiceRequest(
                resource_spans=[{"scope_spans": [{"spans": [good_span(name=f"s{number}")] * number}]}]
            ).SerializeToString(),
            Sender(tenant_id=f"t{number}", key_id="k", recorded_by=f"key:{number}", peer=f"p{number}"),
            NOW + number,
            b"d" * 16,
        )
        for number in range(4)
    ]
    group = decode_group(exports, limits=IntakeLimits(), prices=PriceBook())
    found = [
        (row["name"], row["tenant_id"], row["recorded_by"], row["peer"], row["received_unix_nano"])
        for row in rows(group)
    ]
    assert found == [(f"s{n}", f"t{n}", f"key:{n}", f"p{n}", NOW + n) for n in (1, 2, 2, 3, 3, 3)]


def agent_span(**named: str) -> Span:
    span = good_span(name=",".join(named.values()) or "none")
    for name, value in named.items():
        span.attributes.add(key=f"gen_ai.agent.{name}", value=text(value))
    return span


def test_a_key_scoped_to_an_agent():
    """Such a key may name that agent or none, which fills it in; the id decides, the name only where there is none."""
    sender = Sender("acme", "k1", "key:k1", "p", agent="buyer")
    spans = [
        agent_span(),
        agent_span(id="buyer"),
        agent_span(name="buyer"),
        agent_span(id="7", name="buyer"),
        agent_span(id="seller"),
        agent_span(name="seller"),
    ]
    group = decode(*spans, sender=sender)
    assert [(row["agent_id"], row["agent_name"]) for row in rows(group)] == [
        ("buyer", None),
        ("buyer", None),
        (None, "buyer"),
    ]
    assert [refusal.reason for _, refusal in group.refusals] == ["out-of-scope"] * 3


def test_batches_hold_no_slices():
    """A group's batches can be written as they are: every column has the batch's length and its schema's type."""
    group = decode(*[good_span()] * 3)
    for name, batch in group.records.tables.items():
        assert batch.schema == TABLES[name].decoded_schema
        assert pa.Table.from_batches([batch]).num_rows == 3
