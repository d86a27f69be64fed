"""OTLP/JSON against protobuf's own JSON writer, and against JSON of any shape."""

import base64
import json

from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collectors.exports import IntakeLimits, Signal
from collectors.otlp_json import parse
from warehouse.errors import InputError

LIMITS = IntakeLimits()
REQUESTS = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
int64 = st.integers(-(2**63), 2**63 - 1)
uint64 = st.integers(0, 2**64 - 1)
uint32 = st.integers(0, 2**32 - 1)
int32 = st.integers(-(2**31), 2**31 - 1)
doubles = st.floats(allow_nan=False)
values = st.recursive(
    st.one_of(
        st.just({}),
        st.fixed_dictionaries({"string_value": texts}),
        st.fixed_dictionaries({"int_value": int64}),
        st.fixed_dictionaries({"double_value": doubles}),
        st.fixed_dictionaries({"bool_value": st.booleans()}),
        st.fixed_dictionaries({"bytes_value": st.binary(max_size=6)}),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda held: {"array_value": {"values": held}}),
        st.lists(st.fixed_dictionaries({"key": texts, "value": inner}), max_size=3).map(
            lambda held: {"kvlist_value": {"values": held}}
        ),
    ),
    max_leaves=6,
)
attributes = st.lists(st.fixed_dictionaries({"key": texts}, optional={"value": values}), max_size=3)
trace_ids, span_ids = st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8)


def messages(required=None, **optional):
    """A message's constructor arguments, some fields left out at random."""
    return st.fixed_dictionaries(required or {}, optional=optional)


spans = messages(
    trace_id=trace_ids,
    span_id=span_ids,
    parent_span_id=span_ids,
    name=texts,
    kind=st.integers(0, 5),
    start_time_unix_nano=uint64,
    attributes=attributes,
    flags=uint32,
    events=st.lists(messages(name=texts, time_unix_nano=uint64, attributes=attributes), max_size=2),
    links=st.lists(messages(trace_id=trace_ids, span_id=span_ids), max_size=2),
    status=messages(code=st.integers(0, 2), message=texts),
)
log_records = messages(
    time_unix_nano=uint64,
    severity_number=st.integers(0, 24),
    body=values,
    attributes=attributes,
    event_name=texts,
    trace_id=trace_ids,
    span_id=span_ids,
)
number_points = st.one_of(
    messages({"as_int": int64}, attributes=attributes), messages({"as_double": doubles}, flags=uint32)
)
histogram_points = messages(
    count=uint64,
    sum=doubles,
    min=doubles,
    bucket_counts=st.lists(uint64, max_size=3),
    explicit_bounds=st.lists(doubles, max_size=3),
)
exponential_points = messages(
    count=uint64,
    scale=int32,
    zero_count=uint64,
    positive=messages(offset=int32, bucket_counts=st.lists(uint64, max_size=3)),
)
metrics = st.one_of(
    messages({"gauge": messages(data_points=st.lists(number_points, max_size=2))}, name=texts, unit=texts),
    messages(
        {"sum": messages(data_points=st.lists(number_points, max_size=2), is_monotonic=st.booleans())}, name=texts
    ),
    messages({"histogram": messages(data_points=st.lists(histogram_points, max_size=2))}),
    messages({"exponential_histogram": messages(data_points=st.lists(exponential_points, max_size=2))}),
)


def requests(resources, scopes, records, record):
    """A request's constructor arguments: resources, scopes, records."""
    scope = messages(
        {records: st.lists(record, min_size=1, max_size=2)}, scope=messages(name=texts, attributes=attributes)
    )
    holder = messages(
        {scopes: st.lists(scope, min_size=1, max_size=2)}, resource=messages(attributes=attributes), schema_url=texts
    )
    return st.fixed_dictionaries({resources: st.lists(holder, max_size=2)})


REQUEST_SHAPES = st.one_of(
    st.tuples(st.just(Signal.TRACES), requests("resource_spans", "scope_spans", "spans", spans)),
    st.tuples(st.just(Signal.LOGS), requests("resource_logs", "scope_logs", "log_records", log_records)),
    st.tuples(st.just(Signal.METRICS), requests("resource_metrics", "scope_metrics", "metrics", metrics)),
)


def with_hex_ids(value):
    """The same JSON with ids as OTLP writes them."""
    if isinstance(value, list):
        return [with_hex_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64decode(item).hex()
        if name in ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
        else with_hex_ids(item)
        for name, item in value.items()
    }


@given(
    shape=REQUEST_SHAPES,
    preserve_names=st.booleans(),
    enum_numbers=st.booleans(),
    hex_ids=st.booleans(),
)
def test_what_protobuf_writes_is_read_back(shape, preserve_names, enum_numbers, hex_ids):
    """A request written by protobuf's JSON writer, in any of its manners and with ids in base64 or hex, reads as itself."""
    signal, content = shape
    message = REQUESTS[signal](**content)
    written = MessageToDict(message, preserving_proto_field_name=preserve_names, use_integers_for_enums=enum_numbers)
    body = json.dumps(with_hex_ids(written) if hex_ids else written).encode()
    parsed = parse(signal, body, LIMITS)
    assert parsed.refused == ()
    assert REQUESTS[signal].FromString(parsed.protobuf) == message


NAMES = st.sampled_from(
    [
        "resourceSpans",
        "resource",
        "scopeSpans",
        "scope",
        "spans",
        "traceId",
        "name",
        "attributes",
        "key",
        "value",
        "kind",
        "stringValue",
        "intValue",
        "arrayValue",
        "values",
        "events",
        "status",
        "code",
        "startTimeUnixNano",
        "schemaUrl",
    ]
)
any_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=5)),
    max_leaves=25,
)


@given(resources=any_json, spans_held=st.lists(any_json, max_size=4))
def test_json_of_any_shape(resources, spans_held):
    """JSON of any shape is a request or an input error; and every span of a sound scope is kept or refused, never lost."""
    for request in ({"resourceSpans": resources}, {"resourceSpans": [resources]}, resources):
        try:
            parse(Signal.TRACES, json.dumps(request).encode(), LIMITS)
        except InputError:
            continue
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans_held}]}]}).encode()
    try:
        parsed = parse(Signal.TRACES, body, LIMITS)
    except InputError:
        return
    message = ExportTraceServiceRequest.FromString(parsed.protobuf)
    kept = sum(len(scope.spans) for resource in message.resource_spans for scope in resource.scope_spans)
    assert kept + len(parsed.refused) == len(spans_held)


@given(st.sampled_from(list(Signal)), st.binary(max_size=200))
def test_any_bytes(signal, body):
    """Any bytes are a request or an input error."""
    try:
        found = parse(signal, body, LIMITS)
    except InputError as exc:
        found = str(exc)
    assert found is not None
