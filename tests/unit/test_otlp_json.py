"""OTLP/JSON rule by rule."""

import json
import math

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collectors.exports import IntakeLimits, Signal
from collectors.otlp_json import parse
from collectors.otlp_json.requests import MAX_REFUSALS
from warehouse.errors import DecodeError, LimitError

LIMITS = IntakeLimits(depth=4)
TRACE_ID, SPAN_ID = "5B8EFFF798038103D269B633813FC60C", "eee19b7ec3c1b174"
TRACE_BYTES, SPAN_BYTES = bytes.fromhex(TRACE_ID), bytes.fromhex(SPAN_ID)
SPAN = {"traceId": TRACE_ID, "spanId": SPAN_ID, "name": "chat"}


def traces(*spans, resource=None, scope=None):
    """A request of these spans."""
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": list(spans)}]}]}


def parse_traces(request):
    """Parse a request; return what was kept and what was refused."""
    parsed = parse(Signal.TRACES, json.dumps(request).encode(), LIMITS)
    return ExportTraceServiceRequest.FromString(parsed.protobuf), parsed.refused


def parse_span(**fields):
    """Parse a sound span with these fields."""
    message, refused = parse_traces(traces({**SPAN, **fields}))
    assert refused == ()
    return message.resource_spans[0].scope_spans[0].spans[0]


def refusal_of(**fields):
    """The refusal of a span with these fields."""
    message, refused = parse_traces(traces({**SPAN, **fields}))
    assert message == ExportTraceServiceRequest()
    (refusal,) = refused
    return refusal


def value_of(value):
    """Parse an attribute value."""
    return parse_span(attributes=[{"key": "a", "value": value}]).attributes[0].value


@pytest.mark.parametrize("text", [TRACE_ID, TRACE_ID.lower(), "W47/95gDgQPSabYzgT/GDA==", "W47_95gDgQPSabYzgT_GDA=="])
def test_trace_ids(text):
    """A trace id is hex in any case, or base64 as protobuf's own JSON mapping writes bytes."""
    assert parse_span(traceId=text).trace_id == TRACE_BYTES


@pytest.mark.parametrize("text", [SPAN_ID, SPAN_ID.upper(), "7uGbfsPBsXQ="])
def test_span_ids(text):
    """Span ids alike, wherever they stand."""
    span = parse_span(spanId=text, parentSpanId=text, links=[{"traceId": TRACE_ID, "spanId": text}])
    assert (span.span_id, span.parent_span_id, span.links[0].span_id) == (SPAN_BYTES, SPAN_BYTES, SPAN_BYTES)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("traceId", TRACE_ID[:-1], "bad-trace-id"),
        ("traceId", TRACE_ID[:-1] + "G", "bad-trace-id"),
        ("traceId", TRACE_ID + "00", "bad-trace-id"),
        ("traceId", TRACE_ID[:16] + " " * 16, "bad-trace-id"),
        ("traceId", SPAN_ID, "bad-trace-id"),
        ("traceId", "W47/95gDgQPSabYzgT/GDA", "bad-trace-id"),
        ("traceId", "7uGbfsPBsXQ=", "bad-trace-id"),
        ("spanId", "invalid-hex", "bad-span-id"),
        ("spanId", "invalid-hexx", "bad-span-id"),
        ("parentSpanId", "1234", "bad-parent-span-id"),
        ("traceId", 7, "wrong-type"),
        ("traceId", [], "wrong-type"),
        ("name", 123, "wrong-type"),
        ("name", {}, "wrong-type"),
        ("attributes", {}, "wrong-type"),
        ("attributes", "loose", "wrong-type"),
        ("attributes", [None], "wrong-type"),
        ("attributes", ["a"], "wrong-type"),
        ("attributes", [{"key": 1}], "wrong-type"),
        ("attributes", [{"key": "a", "value": "bare"}], "wrong-type"),
        ("attributes", [{"key": "a", "value": {"intValue": True}}], "wrong-type"),
        ("attributes", [{"key": "a", "value": {"intValue": 1.5}}], "wrong-type"),
        ("attributes", [{"key": "a", "value": {"intValue": "1_0"}}], "wrong-type"),
        ("attributes", [{"key": "a", "value": {"intValue": " 1"}}], "wrong-type"),
        ("attributes", [{"key": "a", "value": {"intValue": "٣"}}], "wrong-type"),
        ("attributes", [{"key": "a", "value": {"intValue": "9223372036854775808"}}], "out-of-range"),
        ("attributes", [{"key": "a", "value": {"intValue": -9223372036854775809}}], "out-of-range"),
        ("attributes", [{"key": "a", "value": {"boolValue": "true"}}], "wrong-type"),
        ("attributes", [{"key": "a", "value": {"boolValue": 1}}], "wrong-type"),
        ("attributes", [{"key": "a", "value": {"doubleValue": "nan"}}], "wrong-type"),
        ("attributes", [{"key": "a", "value": {"doubleValue": "1_0.5"}}], "wrong-type"),
        ("attributes", [{"key": "a", "value": {"doubleValue": True}}], "wrong-type"),
        ("attributes", [{"key": "a", "value": {"doubleValue": "1e999"}}], "out-of-range"),
        ("attributes", [{"key": "a", "value": {"bytesValue": "%%"}}], "bad-base64"),
        ("attributes", [{"key": "a", "value": {"bytesValue": "A"}}], "bad-base64"),
        ("attributes", [{"key": "a", "value": {"bytesValue": 1}}], "wrong-type"),
        ("attributes", [{"key": "a", "value": {"stringValue": "x", "intValue": 1}}], "wrong-type"),
        ("attributes", [{"key": "a", "value": {"arrayValue": [1]}}], "wrong-type"),
        ("startTimeUnixNano", -1, "out-of-range"),
        ("startTimeUnixNano", 2**64, "out-of-range"),
        ("startTimeUnixNano", "yesterday", "wrong-type"),
        ("startTimeUnixNano", {}, "wrong-type"),
        ("droppedAttributesCount", 2**32, "out-of-range"),
        ("kind", "SPAN_KIND_OF_BLUE", "bad-enum"),
        ("kind", 2**31, "out-of-range"),
        ("kind", [], "wrong-type"),
        ("status", [], "wrong-type"),
        ("status", {"code": "FINE"}, "bad-enum"),
        ("events", {}, "wrong-type"),
        ("events", [1], "wrong-type"),
        ("links", [{"traceId": "1234"}], "bad-trace-id"),
    ],
)
def test_values_that_refuse_their_record(field, value, reason):
    """A wrong type, range, id or name refuses the record with a reason and its path, and never repeats the value."""
    refusal = refusal_of(**{field: value})
    assert refusal.reason == reason
    assert refusal.message.startswith(f"resourceSpans[0].scopeSpans[0].spans[0].{field}")
    assert "expected" in refusal.message
    assert "got" in refusal.message
    if isinstance(value, str):
        assert value not in refusal.message
    assert json.loads(refusal.record) == json.loads(json.dumps(traces({**SPAN, field: value})))


def test_the_path_names_the_place():
    """A path leads through arrays and objects to the value at fault."""
    events = [{}, {"attributes": [{}, {"key": "k", "value": {"arrayValue": {"values": [{}, {"intValue": "x"}]}}}]}]
    message = refusal_of(events=events).message
    assert message.startswith(
        "resourceSpans[0].scopeSpans[0].spans[0].events[1].attributes[1].value.arrayValue.values[1].intValue: "
    )


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ({"stringValue": ""}, "string_value", ""),
        ({"stringValue": "é😀\u0000"}, "string_value", "é😀\u0000"),
        ({"intValue": "42"}, "int_value", 42),
        ({"intValue": -42}, "int_value", -42),
        ({"intValue": "-9223372036854775808"}, "int_value", -(2**63)),
        ({"intValue": 2**63 - 1}, "int_value", 2**63 - 1),
        ({"intValue": 1e3}, "int_value", 1000),
        ({"intValue": 1.0}, "int_value", 1),
        ({"doubleValue": 1}, "double_value", 1.0),
        ({"doubleValue": "2.5e-3"}, "double_value", 0.0025),
        ({"doubleValue": "-Infinity"}, "double_value", -math.inf),
        ({"boolValue": False}, "bool_value", False),
        ({"bytesValue": "AQID"}, "bytes_value", b"\1\2\3"),
        ({"bytesValue": "_-8"}, "bytes_value", b"\xff\xef"),
        ({"bytesValue": ""}, "bytes_value", b""),
        ({"string_value": "snake"}, "string_value", "snake"),
        ({"stringValue": "x", "intValue": None}, "string_value", "x"),
        ({"stringValue": "x", "unknown": 1}, "string_value", "x"),
        ({}, None, None),
        ({"stringValue": None}, None, None),
        ({"unknown": {"stringValue": "x"}}, None, None),
    ],
)
def test_values(value, kind, expected):
    """Each kind of AnyValue in the forms that OTLP/JSON and protobuf's JSON mapping allow; null is absent."""
    read = value_of(value)
    assert read.WhichOneof("value") == kind
    if kind is not None:
        assert getattr(read, kind) == expected


def test_not_a_number():
    """NaN arrives as text."""
    assert math.isnan(value_of({"doubleValue": "NaN"}).double_value)


@pytest.mark.parametrize("value", [2, "SPAN_KIND_SERVER", "SERVER", "2", 2.0])
def test_enums(value):
    """An enum comes as its number or its name, whole or without its prefix."""
    assert parse_span(kind=value).kind == Span.SPAN_KIND_SERVER


def test_enums_elsewhere():
    """Status codes alike; a number that no version names yet is kept."""
    assert parse_span(status={"code": "OK"}).status.code == Status.STATUS_CODE_OK
    assert parse_span(kind=77).kind == 77


@pytest.mark.parametrize("start", [1_640_995_200_000_000_000, "1640995200000000000", 1.6409952e18])
def test_times(start):
    """A 64-bit time comes as a number or as text."""
    assert parse_span(startTimeUnixNano=start).start_time_unix_nano == 1_640_995_200_000_000_000


def test_empty_ids_and_nulls_are_absent():
    """Empty ids and nulls count as not sent."""
    span = parse_span(parentSpanId="", traceState=None, events=None, attributes=[])
    assert span == Span(trace_id=TRACE_BYTES, span_id=SPAN_BYTES, name="chat")


def test_original_names_and_unknown_fields():
    """The protobuf names are understood too, and fields that nobody knows are passed over."""
    request = {
        "resource_spans": [
            {"scope_spans": [{"spans": [{"trace_id": TRACE_ID, "span_id": SPAN_ID, "name": "n", "tomorrow": [1]}]}]}
        ],
        "more": {},
    }
    message, refused = parse_traces(request)
    assert refused == ()
    assert message.resource_spans[0].scope_spans[0].spans[0].trace_id == TRACE_BYTES


def nested(levels):
    """A value so many arrays deep."""
    value = {"intValue": 1}
    for _ in range(levels):
        value = {"arrayValue": {"values": [value]}}
    return value


def test_depth_is_bounded():
    """Values nested to the limit are kept, one level more refuses the record and names the limit."""
    assert value_of(nested(3)).WhichOneof("value") == "array_value"
    refusal = refusal_of(attributes=[{"key": "a", "value": nested(4)}])
    assert refusal.reason == "too-deep"
    assert "limits.depth" in refusal.message


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000])
def test_json_too_deep_to_read(body):
    """Depth beyond what can be read refuses the body, not the process."""
    with pytest.raises(DecodeError):
        parse(Signal.TRACES, body, LIMITS)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b"{",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b'{"resourceSpans": {}}',
        b'{"resourceSpans": "x"}',
        b'{"resourceSpans": [{"a": NaN}]}',
        b'{"resourceSpans": [{"a": 1e999}]}',
        b'{"resourceSpans": [{"a": "\xff"}]}',
        b'{"resourceSpans": [{"a": "\\ud800"}]}',
        b'{"resourceSpans": [{"a": "\\ud800x"}]}',
        b'{"resourceSpans": [{"a": "\\udc00\\ud800"}]}',
        b'{"resourceSpans": [{"a": "\xed\xa0\x80"}]}',
    ],
)
def test_bodies_that_are_no_request(body):
    """What is not JSON in UTF-8 with a request at its root is refused whole."""
    with pytest.raises(DecodeError, match="expected"):
        parse(Signal.TRACES, body, LIMITS)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"resourceSpans": null}', b'{"resourceSpans": []}', b'{"resourceSpans": [{}]}']
)
def test_requests_without_records(body):
    """A request without records is legal (proto3: an absent list is an empty one)."""
    parsed = parse(Signal.TRACES, body, LIMITS)
    assert (parsed.protobuf, parsed.refused) == (b"", ())


def test_a_key_twice():
    """Of a name given twice the last counts, as in protobuf's JSON mapping."""
    body = b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "a", "name": "b"}]}]}]}'
    message = ExportTraceServiceRequest.FromString(parse(Signal.TRACES, body, LIMITS).protobuf)
    assert message.resource_spans[0].scope_spans[0].spans[0].name == "b"


def test_one_bad_record_among_good_ones():
    """The bad record alone is refused, with its resource and scope; order and company of the others stay."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}]}
    scope = {"name": "lib"}
    good = [{**SPAN, "name": name} for name in ("a", "b")]
    bad = {**SPAN, "kind": "NO"}
    message, refused = parse_traces(traces(good[0], bad, good[1], resource=resource, scope=scope))
    assert [span.name for span in message.resource_spans[0].scope_spans[0].spans] == ["a", "b"]
    assert message.resource_spans[0].resource.attributes[0].value.string_value == "s"
    (refusal,) = refused
    assert json.loads(refusal.record) == traces(bad, resource=resource, scope=scope)


@pytest.mark.parametrize(
    ("resource", "scope", "path"),
    [
        ({"attributes": "x"}, None, "resourceSpans[0].resource.attributes"),
        ([], None, "resourceSpans[0].resource"),
        (None, {"name": 1}, "resourceSpans[0].scopeSpans[0].scope.name"),
        (None, "x", "resourceSpans[0].scopeSpans[0].scope"),
    ],
)
def test_a_fault_above_the_records(resource, scope, path):
    """A fault in a resource or scope refuses each record under it, and no record elsewhere."""
    request = traces(SPAN, SPAN, resource=resource, scope=scope)
    request["resourceSpans"].extend(traces({**SPAN, "name": "good"})["resourceSpans"])
    message, refused = parse_traces(request)
    assert [refusal.message.startswith(f"{path}: ") for refusal in refused] == [True, True]
    assert json.loads(refused[0].record) == traces(SPAN, resource=resource, scope=scope)
    assert [span.name for span in message.resource_spans[0].scope_spans[0].spans] == ["good"]


@pytest.mark.parametrize(
    ("request_json", "path"),
    [
        ({"resourceSpans": [1]}, "resourceSpans[0]"),
        ({"resourceSpans": [None]}, "resourceSpans[0]"),
        ({"resourceSpans": [{"scopeSpans": {}}]}, "resourceSpans[0].scopeSpans"),
        ({"resourceSpans": [{"scopeSpans": ["x"]}]}, "resourceSpans[0].scopeSpans[0]"),
        ({"resourceSpans": [{"scopeSpans": [{"spans": {}}]}]}, "resourceSpans[0].scopeSpans[0].spans"),
        ({"resourceSpans": [{"scopeSpans": [{"spans": [1]}]}]}, "resourceSpans[0].scopeSpans[0].spans[0]"),
        ({"resourceSpans": [{"schemaUrl": 1}]}, "resourceSpans[0].schemaUrl"),
    ],
)
def test_faults_without_a_record_to_count(request_json, path):
    """Where nothing can be counted one refusal stands for the fault: nothing is dropped in silence."""
    _, (refusal,) = parse_traces(request_json)
    assert refusal.message.startswith(f"{path}: expected")
    assert json.loads(refusal.record) == request_json


def test_a_refused_log_record_names_its_event():
    """A refused log record says which event it was, so that a refused audit event can be recorded."""
    record = {"timeUnixNano": "x", "eventName": "approval.granted"}
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, {"body": {"stringValue": "ok"}}]}]}]}
    parsed = parse(Signal.LOGS, json.dumps(request).encode(), LIMITS)
    assert [refusal.event_name for refusal in parsed.refused] == ["approval.granted"]
    message = ExportLogsServiceRequest.FromString(parsed.protobuf)
    assert message.resource_logs[0].scope_logs[0].log_records[0].body.string_value == "ok"


def metrics(*entries):
    """A request of these metrics."""
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": list(entries)}]}]}


def parse_metrics(request):
    """Parse a request; return the metrics kept and what was refused."""
    parsed = parse(Signal.METRICS, json.dumps(request).encode(), LIMITS)
    message = ExportMetricsServiceRequest.FromString(parsed.protobuf)
    kept = message.resource_metrics[0].scope_metrics[0].metrics if message.resource_metrics else []
    return list(kept), parsed.refused


def test_a_bad_point_costs_that_point_alone():
    """Of a metric's points the bad one is refused as a metric of one point; the others stay."""
    points = [{"asInt": "1"}, {"asInt": "x"}, {"asDouble": 2}]
    (metric,), (refusal,) = parse_metrics(
        metrics({"name": "n", "unit": "1", "sum": {"isMonotonic": True, "dataPoints": points}})
    )
    assert [point.WhichOneof("value") for point in metric.sum.data_points] == ["as_int", "as_double"]
    assert metric.sum.is_monotonic
    assert ".metrics[0].sum.dataPoints[1].asInt: expected" in refusal.message
    one = {"name": "n", "unit": "1", "sum": {"isMonotonic": True, "dataPoints": [points[1]]}}
    assert json.loads(refusal.record) == metrics(one)


def test_a_bad_metric_counts_its_points():
    """A fault of the metric itself refuses each of its points, since points are what is counted."""
    kept, refused = parse_metrics(metrics({"name": 1, "gauge": {"dataPoints": [{"asInt": 1}, {"asInt": 2}]}}))
    assert kept == []
    assert len(refused) == 2
    assert json.loads(refused[1].record) == metrics({"name": 1, "gauge": {"dataPoints": [{"asInt": 2}]}})


def test_two_values_in_a_point():
    """A point with two values is refused: nobody can tell which was meant."""
    _, (refusal,) = parse_metrics(metrics({"name": "n", "gauge": {"dataPoints": [{"asInt": 1, "asDouble": 1}]}}))
    assert refusal.reason == "wrong-type"


def test_the_kinds_of_metrics():
    """Histograms, exponential histograms, summaries and exemplars are read whole."""
    histogram = {"count": "2", "sum": 3, "bucketCounts": ["1", 1], "explicitBounds": ["1.5"], "min": 1}
    exponential = {"count": 1, "scale": "-2", "zeroCount": "0", "positive": {"offset": -1, "bucketCounts": ["1"]}}
    summary = {"count": "1", "sum": "4.5", "quantileValues": [{"quantile": 0.5, "value": "4.5"}]}
    gauge = {"asInt": "1", "exemplars": [{"asDouble": 1.5, "traceId": TRACE_ID, "spanId": SPAN_ID}]}
    kept, refused = parse_metrics(
        metrics(
            {
                "name": "h",
                "histogram": {"aggregationTemporality": "AGGREGATION_TEMPORALITY_DELTA", "dataPoints": [histogram]},
            },
            {"name": "e", "exponential_histogram": {"dataPoints": [exponential]}},
            {"name": "s", "summary": {"data_points": [summary]}},
            {"name": "g", "gauge": {"dataPoints": [gauge]}},
        )
    )
    assert refused == ()
    point = kept[0].histogram.data_points[0]
    assert (kept[0].histogram.aggregation_temporality, point.count, point.sum, point.min) == (1, 2, 3.0, 1.0)
    assert (list(point.bucket_counts), list(point.explicit_bounds), point.HasField("max")) == ([1, 1], [1.5], False)
    assert kept[1].exponential_histogram.data_points[0].scale == -2
    assert kept[1].exponential_histogram.data_points[0].positive.offset == -1
    assert kept[2].summary.data_points[0].quantile_values[0].value == 4.5
    assert kept[3].gauge.data_points[0].exemplars[0].trace_id == TRACE_BYTES


def test_refusals_are_bounded_in_number():
    """A request of nothing but bad records is refused whole past a stated number."""
    body = b'{"resourceSpans": [{"scopeSpans": [{"spans": [%s]}]}]}'
    at_limit = parse(Signal.TRACES, body % b",".join([b"1"] * MAX_REFUSALS), LIMITS)
    assert len(at_limit.refused) == MAX_REFUSALS
    with pytest.raises(LimitError, match=f"at most {MAX_REFUSALS}"):
        parse(Signal.TRACES, body % b",".join([b"1"] * (MAX_REFUSALS + 1)), LIMITS)


def test_refusals_are_bounded_in_size():
    """A large resource over many bad records does not multiply: past twice the body, records go without their text."""
    resource = {"attributes": [{"key": "k", "value": {"stringValue": "x" * 50_000}}]}
    body = json.dumps(traces(*[1] * 1000, resource=resource)).encode()
    refused = parse(Signal.TRACES, body, LIMITS).refused
    assert len(refused) == 1000
    assert sum(len(refusal.record or "") for refusal in refused) < 3 * len(body) + 200_000
    assert refused[-1].record is None
