"""Records that break a rule are refused one by one, by reason, and the rest of their request is kept."""

import json
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collectors.costs import PriceBook
from collectors.decode import DecodedGroup, decode_group, refused_records
from collectors.exports import Export, IntakeLimits, Outcome, Refusal, Sender, Signal
from warehouse.errors import DecodeError

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND  # 2026-09-21T14:13:20Z
SENDER = Sender(tenant_id="acme", key_id="k1", recorded_by="key:k1", peer="127.0.0.1:5")
LIMITS = IntakeLimits(attributes=3, depth=2, attribute_bytes=100)


def good_span(**fields: Any) -> Span:
    return Span(**{"trace_id": b"t" * 16, "span_id": b"s" * 8, "start_time_unix_nano": NOW, "name": "good"} | fields)


def export(*spans: Span, body: bytes | None = None, refused: tuple[Refusal, ...] = ()) -> Export:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    return Export(Signal.TRACES, body or request.SerializeToString(), SENDER, NOW, b"d" * 16, refused)


def decode(*exports: Export) -> DecodedGroup:
    return decode_group(exports, limits=LIMITS, prices=PriceBook())


def nested(levels: int) -> AnyValue:
    value = AnyValue(string_value="x")
    for level in range(levels):
        outer = AnyValue()
        if level % 2:
            outer.kvlist_value.values.add(key="k", value=value)
        else:
            outer.array_value.values.append(value)
        value = outer
    return value


def with_attributes(**values: AnyValue) -> Span:
    span = good_span()
    for key, value in values.items():
        span.attributes.add(key=key, value=value)
    return span


def with_event_attributes(**values: AnyValue) -> Span:
    span = good_span()
    event = span.events.add(name="e")
    for key, value in values.items():
        event.attributes.add(key=key, value=value)
    return span


def unreadable_span() -> Span:
    """Invalid UTF-8 inside an array: protobuf's own classes would not write it."""
    return with_attributes(a=AnyValue(array_value={"values": [AnyValue(string_value="BAD")]}))


TEXT = AnyValue(string_value="v")
CASES: dict[str, tuple[Span, str, str]] = {
    "trace id too short": (
        good_span(trace_id=b"t" * 12),
        "bad-trace-id",
        "trace_id has wrong size: expected 16 bytes, got 12",
    ),
    "trace id missing": (
        good_span(trace_id=b""),
        "bad-trace-id",
        "trace_id has wrong size: expected 16 bytes, got 0",
    ),
    "trace id of zeros": (
        good_span(trace_id=bytes(16)),
        "bad-trace-id",
        "trace_id is all zero: expected 16 bytes, not all zero",
    ),
    "span id too long": (
        good_span(span_id=b"s" * 12),
        "bad-span-id",
        "span_id has wrong size: expected 8 bytes, got 12",
    ),
    "span id of zeros": (
        good_span(span_id=bytes(8)),
        "bad-span-id",
        "span_id is all zero: expected 8 bytes, not all zero",
    ),
    "parent id of wrong size": (
        good_span(parent_span_id=b"p"),
        "bad-parent-span-id",
        "parent_span_id has wrong size: expected 8 bytes, got 1",
    ),
    "link id of wrong size": (
        good_span(links=[Span.Link(trace_id=b"l" * 16, span_id=b"l")]),
        "bad-link-id",
        "link has an id of wrong size: expected a trace_id of 16 bytes and a span_id of 8",
    ),
    "no start": (
        good_span(start_time_unix_nano=0),
        "time-missing",
        "time is not set: expected nanoseconds since 1970, got 0",
    ),
    "start in 1970": (
        good_span(start_time_unix_nano=1),
        "time-out-of-window",
        "time is outside the window: expected 2026-09-14T14:13:20Z to 2026-09-21T15:13:20Z, got 1970-01-01T00:00:00Z",
    ),
    "start an hour and a second ahead": (
        good_span(start_time_unix_nano=NOW + 3_601 * SECOND),
        "time-out-of-window",
        "time is outside the window: expected 2026-09-14T14:13:20Z to 2026-09-21T15:13:20Z, got 2026-09-21T15:13:21Z",
    ),
    "start in 2554": (
        good_span(start_time_unix_nano=2**64 - 1),
        "time-overflow",
        "time is too large: expected nanoseconds since 1970 below 2^63",
    ),
    "end in 2554": (
        good_span(end_time_unix_nano=2**63),
        "time-overflow",
        "time is too large: expected nanoseconds since 1970 below 2^63",
    ),
    "too many attributes": (
        with_attributes(a=TEXT, b=TEXT, c=TEXT, d=TEXT),
        "too-many-attributes",
        "too many attributes: expected at most 3 (limit attributes)",
    ),
    "too many attributes in an event": (
        with_event_attributes(a=TEXT, b=TEXT, c=TEXT, d=TEXT),
        "too-many-attributes",
        "too many attributes: expected at most 3 (limit attributes)",
    ),
    "attribute too large": (
        with_attributes(a=AnyValue(string_value="x" * 101)),
        "attribute-too-large",
        "attribute is too large: expected at most 100 bytes (limit attribute_bytes)",
    ),
    "bytes too large": (
        with_attributes(a=AnyValue(bytes_value=b"x" * 101)),
        "attribute-too-large",
        "attribute is too large: expected at most 100 bytes (limit attribute_bytes)",
    ),
    "array too large": (
        with_attributes(a=AnyValue(array_value={"values": [AnyValue(string_value="x" * 60)] * 2})),
        "attribute-too-large",
        "attribute is too large: expected at most 100 bytes (limit attribute_bytes)",
    ),
    "value too deep": (
        with_attributes(a=nested(3)),
        "value-too-deep",
        "value is nested too deep: expected at most 2 levels (limit depth)",
    ),
    "event value too deep": (
        with_event_attributes(a=nested(5)),
        "value-too-deep",
        "value is nested too deep: expected at most 2 levels (limit depth)",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_span_is_refused_alone(case):
    """Between two good spans the bad one is refused, by its reason, with got and expected; the good ones are kept."""
    span, reason, message = CASES[case]
    group = decode(export(good_span(name="before"), span, good_span(name="after")))
    ((number, refusal),) = group.refusals
    assert (number, refusal.signal, refusal.reason, refusal.message) == (0, Signal.TRACES, reason, message)
    assert group.outcomes == [Outcome(accepted=2, rejected=1, message=f"1 span refused: {message} (1)")]
    assert group.records.tables["spans"].column("name").to_pylist() == ["before", "after"]


def test_limits_are_inclusive():
    """What lies exactly on a limit is kept."""
    spans = [
        with_attributes(a=TEXT, b=TEXT, c=TEXT),
        with_attributes(a=AnyValue(string_value="x" * 100)),
        with_attributes(a=nested(2)),
        good_span(start_time_unix_nano=NOW + 3_600 * SECOND),
        good_span(start_time_unix_nano=NOW - 7 * 86_400 * SECOND),
    ]
    assert decode(export(*spans)).outcomes == [Outcome(accepted=5)]


def test_contents_keep_their_owners_when_a_span_between_goes():
    """`owner_index` counts the rows that stay, not those that came."""
    spans = [with_attributes(**{"input.value": AnyValue(string_value=f"text {n}")}) for n in range(4)]
    spans[1].trace_id = b"bad"
    tables = decode(export(*spans)).records.tables
    assert [(part["owner_index"], part["body"]) for part in tables["contents"].to_pylist()] == [
        (0, "text 0"),
        (1, "text 2"),
        (2, "text 3"),
    ]


def test_refused_record_can_be_replayed():
    """The record of a refusal is an OTLP/JSON request of that one span, ids in hexadecimal, resource and scope included."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.append(good_span())
    resource = request.resource_spans.add(schema_url="https://schema/1")
    resource.resource.attributes.add(key="service.name", value=AnyValue(string_value="shop"))
    resource.scope_spans.add()
    scope = resource.scope_spans.add()
    scope.scope.name = "lib"
    scope.spans.extend([good_span(), good_span(name="bad", span_id=b"\x01\x02", kind=Span.SPAN_KIND_CLIENT)])
    ((_, refusal),) = decode(export(body=request.SerializeToString())).refusals
    assert refusal.record is not None
    document = json.loads(refusal.record)
    assert document == {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
                "schemaUrl": "https://schema/1",
                "scopeSpans": [
                    {
                        "scope": {"name": "lib"},
                        "spans": [
                            {
                                "traceId": "74" * 16,
                                "spanId": "0102",
                                "name": "bad",
                                "kind": 3,
                                "startTimeUnixNano": str(NOW),
                            }
                        ],
                    }
                ],
            }
        ]
    }


def test_unreadable_nested_value_refuses_its_span_alone():
    """Invalid UTF-8 deep inside one value costs that span, not the group."""
    body = export(good_span(), unreadable_span()).body.replace(b"BAD", b"\xff\xfe\xfd")
    group = decode(export(good_span()), export(body=body))
    assert [type(outcome) for outcome in group.outcomes] == [Outcome, Outcome]
    ((number, refusal),) = group.refusals
    assert (number, refusal.reason) == (1, "value-unreadable")
    assert group.records.tables["spans"].num_rows == 2


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"hello world", b"\x0a\x05abc", export(good_span()).body[:-1]])
def test_unreadable_request_leaves_its_neighbours_alone(body):
    """A body that is no request gives that export a DecodeError and no mark; the others are kept."""
    group = decode(export(good_span()), export(body=body), export(good_span(), good_span()))
    assert group.outcomes[0] == Outcome(accepted=1)
    assert group.outcomes[2] == Outcome(accepted=2)
    error = group.outcomes[1]
    assert isinstance(error, DecodeError)
    assert f"expected a serialized ExportTraceServiceRequest, got {len(body)} bytes" in str(error)
    assert [mark.accepted for mark in group.records.requests] == [1, 2]
    assert group.counts.undecodable == 1


BAD_TEXT = AnyValue(string_value="BAD")
UNREADABLE_PLACES = {
    "event": with_event_attributes(a=BAD_TEXT),
    "link": good_span(links=[Span.Link(trace_id=b"l" * 16, span_id=b"l" * 8, trace_state="BAD")]),
}


@pytest.mark.parametrize("place", UNREADABLE_PLACES)
def test_unreadable_event_or_link_refuses_its_span_alone(place):
    """Invalid UTF-8 in an event or link costs its span, not the request."""
    body = export(good_span(), UNREADABLE_PLACES[place]).body.replace(b"BAD", b"\xff\xfe\xfd")
    group = decode(export(body=body))
    assert group.outcomes == [
        Outcome(1, 1, "1 span refused: value cannot be read: expected a serialized AnyValue with valid UTF-8 (1)")
    ]


@pytest.mark.parametrize("place", ["resource", "scope"])
def test_unreadable_resource_or_scope_refuses_what_is_below_it(place):
    """Invalid UTF-8 in a resource or scope costs its records, each time it comes, and no others."""
    request = ExportTraceServiceRequest()
    bad = request.resource_spans.add()
    scope = bad.scope_spans.add()
    (bad.resource if place == "resource" else scope.scope).attributes.add(key="BAD")
    scope.spans.append(good_span())
    request.resource_spans.add().scope_spans.add().spans.append(good_span())
    body = request.SerializeToString().replace(b"BAD", b"\xff\xfe\xfd")
    for _ in range(2):
        group = decode(export(body=body))
        assert [refusal.reason for _, refusal in group.refusals] == ["value-unreadable"]
        assert group.counts.spans == 1


def test_a_remembered_resource_is_held_to_the_limits_in_force():
    """What one limit allowed is checked again under another, and the other way round."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    for key in "abcd":
        resource.resource.attributes.add(key=key, value=TEXT)
    resource.scope_spans.add().spans.append(good_span())
    one = export(body=request.SerializeToString())
    for limits, accepted in ((LIMITS, 0), (IntakeLimits(), 1), (LIMITS, 0), (IntakeLimits(), 1)):
        (outcome,) = decode_group([one], limits=limits, prices=PriceBook()).outcomes
        assert isinstance(outcome, Outcome)
        assert outcome.accepted == accepted


def test_resource_over_a_limit_refuses_all_below_it():
    """A resource with too many attributes takes its own spans with it and no others."""
    request = ExportTraceServiceRequest()
    bad = request.resource_spans.add()
    for key in "abcd":
        bad.resource.attributes.add(key=key, value=TEXT)
    bad.scope_spans.add().spans.extend([good_span(), good_span()])
    request.resource_spans.add().scope_spans.add().spans.append(good_span())
    (outcome,) = decode(export(body=request.SerializeToString())).outcomes
    assert isinstance(outcome, Outcome)
    assert (outcome.accepted, outcome.rejected) == (1, 2)


def test_refusals_of_the_json_parser_are_counted():
    """What was refused before decoding stands in outcome, mark and message."""
    early = Refusal(Signal.TRACES, "bad-span-id", "span_id is no hexadecimal text")
    group = decode(export(good_span(), refused=(early,)))
    assert group.refusals == [(0, early)]
    assert group.outcomes == [Outcome(1, 1, "1 span refused: span_id is no hexadecimal text (1)")]
    (mark,) = group.records.requests
    assert (mark.digest, mark.accepted, mark.rejected) == (b"d" * 16, 1, 1)
    assert mark.message == "1 span refused: span_id is no hexadecimal text (1)"


def test_messages_are_summarised():
    """Equal messages are counted, the most frequent come first, and no more than five are named."""
    spans = [good_span(span_id=b"x" * size) for size in (1, 1, 2, 3, 4, 5, 6)]
    (outcome,) = decode(export(*spans)).outcomes
    assert isinstance(outcome, Outcome)
    assert outcome.message.startswith(
        "7 spans refused: span_id has wrong size: expected 8 bytes, got 1 (2); span_id has wrong size"
    )
    assert outcome.message.endswith("; and 1 more reasons")


def test_nothing_to_decode():
    """Empty requests are accepted with nothing in them."""
    group = decode(export(), export(body=ExportTraceServiceRequest().SerializeToString()))
    assert group.outcomes == [Outcome(0), Outcome(0)]
    assert group.records.tables == {}
    assert len(group.records.requests) == 2


def test_replay_texts_are_bounded(monkeypatch):
    """Beyond the bound a refused record is still counted and named, only its text is not kept."""
    monkeypatch.setattr(refused_records, "MAX_TEXTS", 2)
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for _ in range(5):
        spans.add().name = "without ids"
    sender = Sender("acme", "k", "key:k", "127.0.0.1:1")
    export = Export(Signal.TRACES, request.SerializeToString(), sender, 1_700_000_000_000_000_000, b"d" * 16)
    decoded = decode_group([export], limits=IntakeLimits(), prices=PriceBook())
    assert len(decoded.refusals) == 5
    assert [refusal.record is not None for _, refusal in decoded.refusals] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("attributes", "kept"),
    [
        ({"gen_ai.agent.id": "bot-1"}, True),
        ({"gen_ai.agent.name": "bot-1"}, True),
        ({}, True),
        ({"gen_ai.agent.id": "bot-1", "gen_ai.agent.name": "Buyer"}, True),
        ({"gen_ai.agent.id": "victim", "gen_ai.agent.name": "bot-1"}, False),
        ({"gen_ai.agent.name": "victim"}, False),
        ({"audit.actor.id": "victim", "audit.actor.type": "Agent"}, False),
        ({"audit.actor.id": "victim", "audit.actor.type": "ai_agent"}, False),
        ({"audit.actor.id": "someone"}, True),
        ({"audit.actor.id": "alice", "audit.actor.type": "human"}, True),
    ],
)
def test_a_key_scoped_to_an_agent_speaks_for_no_other(attributes, kept):
    """The agent id decides, the name only without one, and an actor of unclear type may be an agent."""
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.event_name, record.time_unix_nano = "approval.granted", 1_700_000_000_000_000_000
    for key, value in attributes.items():
        pair = record.attributes.add()
        pair.key, pair.value.string_value = key, value
    sender = Sender("acme", "k", "key:k", "127.0.0.1:1", agent="bot-1", event_patterns=("approval.*",))
    export = Export(Signal.LOGS, request.SerializeToString(), sender, 1_700_000_000_000_000_000, b"d" * 16)
    group = decode_group([export], limits=IntakeLimits(), prices=PriceBook())
    assert group.outcomes == [Outcome(1)] if kept else group.outcomes[0].rejected == 1
    if kept:
        # an actor of whom nobody says what it is may be another agent: the approval is then not bound to the key
        expected = "asserted" if attributes == {"audit.actor.id": "someone"} else "key-bound"
        assert group.records.tables["audit_events"].column("assurance").to_pylist() == [expected]
