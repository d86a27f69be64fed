"""Serialized OTLP to nested Arrow, by ptars.

Protobuf bytes are parsed in Rust, all requests of a group in one call. Unknown fields are skipped; invalid UTF-8 and
truncated messages are errors. Field numbers are those of opentelemetry-proto, but the descriptors handed to ptars are
leaner (see `_lean`): ptars builds a column for every field of every nested message, whether a body has any or not, and
what is seldom there or always the same is better left as serialized bytes, which protobuf's wire format allows.
`AnyValue` is recursive, so its children come out as serialized bytes in any case (see `anyvalue`).
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2
from ptars import HandlerPool

from collectors.exports import Signal
from warehouse.errors import DecodeError

_REQUESTS: dict[Signal, Any] = {
    Signal.TRACES: trace_service_pb2.ExportTraceServiceRequest,
    Signal.LOGS: logs_service_pb2.ExportLogsServiceRequest,
    Signal.METRICS: metrics_service_pb2.ExportMetricsServiceRequest,
}
_FILES = (
    common_pb2,
    resource_pb2,
    trace_pb2,
    logs_pb2,
    metrics_pb2,
    trace_service_pb2,
    logs_service_pb2,
    metrics_service_pb2,
)
_LEFT_OUT = frozenset({"string_value_strindex", "key_strindex", "entity_refs"})
"""Fields of profiles (indices into a dictionary that other signals lack) and of the entities in development."""
_LEFT_SERIALIZED = frozenset(
    {
        ("Span", "events"),
        ("Span", "links"),
        ("ResourceSpans", "resource"),
        ("ResourceLogs", "resource"),
        ("ResourceMetrics", "resource"),
        ("ScopeSpans", "scope"),
        ("ScopeLogs", "scope"),
        ("ScopeMetrics", "scope"),
    }
)


def _lean(file: Any) -> FileDescriptorProto:
    """A file of opentelemetry-proto without `_LEFT_OUT`, and with `_LEFT_SERIALIZED` as plain bytes."""
    lean = FileDescriptorProto()
    file.DESCRIPTOR.CopyToProto(lean)
    for message in lean.message_type:
        fields = [field for field in message.field if field.name not in _LEFT_OUT]
        for field in fields:
            if (message.name, field.name) in _LEFT_SERIALIZED:
                field.type = FieldDescriptorProto.TYPE_BYTES
                field.ClearField("type_name")
        kept = [FieldDescriptorProto.FromString(field.SerializeToString()) for field in fields]
        del message.field[:]
        message.field.extend(kept)
    return lean


_DESCRIPTORS = DescriptorPool()
for _file in _FILES:
    _DESCRIPTORS.Add(_lean(_file))
_POOL = HandlerPool([_DESCRIPTORS.FindFileByName(file.DESCRIPTOR.name) for file in _FILES])


def _handler(full_name: str) -> Any:
    return _POOL.get_for_message(_DESCRIPTORS.FindMessageTypeByName(full_name))


_HANDLERS = {signal: _handler(message.DESCRIPTOR.full_name) for signal, message in _REQUESTS.items()}
_PROTO = "opentelemetry.proto."
ANY_VALUE = _handler(_PROTO + "common.v1.AnyValue")
KEY_VALUE = _handler(_PROTO + "common.v1.KeyValue")
RESOURCE = _handler(_PROTO + "resource.v1.Resource")
SCOPE = _handler(_PROTO + "common.v1.InstrumentationScope")
EVENT = _handler(_PROTO + "trace.v1.Span.Event")
LINK = _handler(_PROTO + "trace.v1.Span.Link")


def request_class(signal: Signal) -> Any:
    """The protobuf class of a signal's request."""
    return _REQUESTS[signal]


def parse_requests(signal: Signal, bodies: Sequence[bytes]) -> tuple[pa.ListArray, dict[int, DecodeError]]:
    """Parse request bodies of one signal.

    Returns the column of each request's resources (an unreadable request has none) and, by position, why a body could
    not be read. ptars refuses the whole list for one bad body; only then are they tried one by one.
    """
    handler = _HANDLERS[signal]
    try:
        return handler.list_to_record_batch(list(bodies)).column(0), {}
    except ValueError:
        errors: dict[int, DecodeError] = {}
        for number, body in enumerate(bodies):
            try:
                handler.list_to_record_batch([body])
            except ValueError as exc:
                name = _REQUESTS[signal].__name__
                errors[number] = DecodeError(f"body: expected a serialized {name}, got {len(body)} bytes: {exc}")
        readable = [b"" if number in errors else body for number, body in enumerate(bodies)]
        return handler.list_to_record_batch(readable).column(0), errors


def parse(handler: Any, serialized: pa.BinaryArray) -> tuple[pa.StructArray, list[int]]:
    """Parse serialized messages of one kind; also the rows that could not be read, which come out empty."""
    convert = handler.array_to_record_batch
    try:
        return convert(serialized).to_struct_array(), []
    except ValueError:
        unreadable = []
        bodies = serialized.to_pylist()
        for row, body in enumerate(bodies):
            try:
                convert(pa.array([body], pa.binary()))
            except ValueError:
                unreadable.append(row)
                bodies[row] = b""
        return convert(pa.array(bodies, pa.binary())).to_struct_array(), unreadable
