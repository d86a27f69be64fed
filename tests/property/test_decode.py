"""Decoding keeps every value, whatever it is, and depends on nothing but the request."""

import base64
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collectors.contents import is_content
from collectors.costs import PriceBook
from collectors.decode import decode_group
from collectors.exports import Export, IntakeLimits, Outcome, Sender, Signal
from warehouse.errors import DecodeError

NOW = 1_790_000_000_000_000_000
SENDER = Sender(tenant_id="acme", key_id="k1", recorded_by="key:k1", peer="127.0.0.1:5")
BOOK = PriceBook()

texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ['"', "\\", "\x00\x1f\n\t", "$bytes", "é€😀", "a,b"]
)
scalar_values = (
    st.none()
    | st.builds(lambda v: AnyValue(string_value=v), texts)
    | st.builds(lambda v: AnyValue(bool_value=v), st.booleans())
    | st.builds(lambda v: AnyValue(int_value=v), st.integers(-(2**63), 2**63 - 1))
    | st.builds(lambda v: AnyValue(double_value=v), st.floats())
    | st.builds(lambda v: AnyValue(bytes_value=v), st.binary(max_size=9))
)


def _array(values: list[AnyValue | None]) -> AnyValue:
    value = AnyValue()
    value.array_value.SetInParent()
    value.array_value.values.extend(member or AnyValue() for member in values)
    return value


def _pairs(pairs: list[tuple[str, AnyValue | None]]) -> AnyValue:
    value = AnyValue()
    value.kvlist_value.SetInParent()
    value.kvlist_value.values.extend(KeyValue(key=key, value=member or AnyValue()) for key, member in pairs)
    return value


values = st.recursive(
    scalar_values,
    lambda inner: st.lists(inner, max_size=4).map(_array) | st.lists(st.tuples(texts, inner), max_size=4).map(_pairs),
    max_leaves=12,
)
attributes = st.lists(st.tuples(texts.filter(lambda key: not is_content(key)), values), max_size=6)


class Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs: order and duplicates kept."""


def parse(text: str) -> Any:
    return json.loads(text, object_pairs_hook=Pairs)


def inverse(node: Any) -> AnyValue:
    """The AnyValue that a JSON text was written from."""
    if node is None:
        return AnyValue()
    if isinstance(node, Pairs):
        if len(node) == 1 and node[0][0] == "$bytes":
            return AnyValue(bytes_value=base64.b64decode(node[0][1], validate=True))
        if len(node) == 1 and node[0][0] == "$double":
            return AnyValue(double_value=float(node[0][1]))
        return _pairs([(key[1:] if key.startswith("$$") else key, inverse(member)) for key, member in node])
    if isinstance(node, list):
        return _array([inverse(member) for member in node])
    scalars = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
    return AnyValue(**{scalars[type(node)]: node})


def canonical(value: AnyValue) -> bytes:
    """Serialized bytes with one NaN for all: JSON does not tell NaNs apart."""
    if value.WhichOneof("value") == "double_value" and math.isnan(value.double_value):
        value = AnyValue(double_value=math.nan)
    if value.WhichOneof("value") == "array_value":
        return b"[" + b",".join(canonical(member) for member in value.array_value.values) + b"]"
    if value.WhichOneof("value") == "kvlist_value":
        return (
            b"{"
            + b",".join(pair.key.encode() + b":" + canonical(pair.value) for pair in value.kvlist_value.values)
            + b"}"
        )
    return value.SerializeToString()


def trace_request(spans: list[list[tuple[str, AnyValue | None]]], seed: int = 1) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number, pairs in enumerate(spans, start=seed):
        span = scope.spans.add(
            trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), start_time_unix_nano=NOW, name="s"
        )
        span.attributes.extend(KeyValue(key=key, value=value) for key, value in pairs)
    return request


def export(signal: Signal, body: bytes) -> Export:
    return Export(signal=signal, body=body, sender=SENDER, received_unix_nano=NOW, digest=b"d" * 16)


def decode(*exports: Export) -> Any:
    return decode_group(exports, limits=IntakeLimits(), prices=BOOK)


@given(st.lists(attributes, min_size=1, max_size=5))
def test_attributes_are_lossless(spans):
    """The JSON text of a span's attributes gives back the very AnyValues, in order, duplicates included."""
    group = decode(export(Signal.TRACES, trace_request(spans).SerializeToString()))
    for pairs, text in zip(spans, group.records.tables["spans"].column("attributes").to_pylist(), strict=True):
        found = parse(text)
        assert [key for key, _ in found] == [key for key, _ in pairs]
        for (_, node), (_, value) in zip(found, pairs, strict=True):
            assert canonical(inverse(node)) == canonical(value or AnyValue())


@given(values)
def test_log_bodies_are_lossless(value):
    """A body that is text is kept as it is, any other as JSON text that gives back the value."""
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=NOW)
    if value is not None:
        record.body.CopyFrom(value)
    text = decode(export(Signal.LOGS, request.SerializeToString())).records.tables["logs"].column("body")[0].as_py()
    if value is None or value.WhichOneof("value") is None:
        assert text is None
    elif value.WhichOneof("value") == "string_value":
        assert text == value.string_value
    else:
        assert canonical(inverse(parse(text))) == canonical(value)


@given(st.lists(st.lists(attributes, max_size=3), min_size=1, max_size=4))
def test_a_group_is_the_sum_of_its_requests(requests):
    """Decoding requests together gives the rows that decoding each alone gives, in the same order."""
    exports = [
        export(Signal.TRACES, trace_request(spans, seed=1 + 10 * number).SerializeToString())
        for number, spans in enumerate(requests)
    ]
    together = decode(*exports)
    alone = [decode(single) for single in exports]
    assert together.outcomes == [outcome for group in alone for outcome in group.outcomes]
    rows = [
        row for group in alone if "spans" in group.records.tables for row in group.records.tables["spans"].to_pylist()
    ]
    found = together.records.tables["spans"].to_pylist() if "spans" in together.records.tables else []
    assert found == rows


@given(st.binary(max_size=200), st.sampled_from(list(Signal)))
def test_random_bytes_never_crash(body, signal):
    """Any bytes give an outcome or a decode error for that request, and leave its neighbour alone."""
    good = export(Signal.TRACES, trace_request([[("k", AnyValue(int_value=1))]]).SerializeToString())
    first, second = decode(export(signal, body), good).outcomes
    assert isinstance(first, Outcome | DecodeError)
    assert second == Outcome(accepted=1)


@given(st.data())
def test_mutated_requests_never_crash(data):
    """A real request with bytes cut or changed gives an outcome or a decode error."""
    pairs = [
        ("gen_ai.input.messages", _array([AnyValue(string_value="x")])),
        ("n", _pairs([("a", AnyValue(int_value=3))])),
    ]
    body = bytearray(trace_request([pairs, pairs]).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)))]
    (outcome,) = decode(export(Signal.TRACES, bytes(body))).outcomes
    assert isinstance(outcome, Outcome | DecodeError)


@pytest.mark.parametrize("number", [0.0, -0.0, 1.0, 1e16, 1e300, 5e-324, 0.1, 123456789.0, -2.5, 1e21, 1e-7])
def test_doubles_stay_doubles(number):
    """A double never turns into an integer, and reads back bit by bit."""
    group = decode(export(Signal.TRACES, trace_request([[("k", AnyValue(double_value=number))]]).SerializeToString()))
    node = json.loads(group.records.tables["spans"].column("attributes")[0].as_py())["k"]
    assert isinstance(node, float)
    assert (node, math.copysign(1, node)) == (number, math.copysign(1, number))
