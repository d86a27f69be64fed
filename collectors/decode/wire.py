"""Serialized OTLP to nested Arrow, by ptars.

Protobuf bytes are parsed in Rust, all requests of a group in one call. One thing is left over: `AnyValue` is recursive,
so its children come out as serialized bytes and are parsed level by level (see `anyvalue`). Field numbers are those of
opentelemetry-proto; unknown fields are skipped, invalid UTF-8 and truncated messages are errors.
"""

from typing import Any

import pyarrow as pa
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from ptars import HandlerPool

from collectors.exports import Signal
from warehouse.errors import DecodeError

_POOL = HandlerPool([trace_service_pb2.DESCRIPTOR, logs_service_pb2.DESCRIPTOR, metrics_service_pb2.DESCRIPTOR])
_REQUESTS: dict[Signal, Any] = {
    Signal.TRACES: trace_service_pb2.ExportTraceServiceRequest,
    Signal.LOGS: logs_service_pb2.ExportLogsServiceRequest,
    Signal.METRICS: metrics_service_pb2.ExportMetricsServiceRequest,
}
_HANDLERS = {signal: _POOL.get_for_message(message.DESCRIPTOR) for signal, message in _REQUESTS.items()}
_ANY_VALUE = _POOL.get_for_message(common_pb2.AnyValue.DESCRIPTOR)
_KEY_VALUE = _POOL.get_for_message(common_pb2.KeyValue.DESCRIPTOR)


def request_class(signal: Signal) -> Any:
    """The protobuf class of a signal's request."""
    return _REQUESTS[signal]


def parse_requests(signal: Signal, bodies: list[bytes]) -> tuple[pa.ListArray, dict[int, DecodeError]]:
    """Parse request bodies of one signal.

    Returns the column of each request's resources (an unreadable request has none) and, by position, why a body could
    not be read. ptars refuses the whole list for one bad body; only then are they tried one by one.
    """
    handler = _HANDLERS[signal]
    try:
        return handler.list_to_record_batch(bodies).column(0), {}
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


def parse_values(serialized: pa.BinaryArray) -> tuple[pa.StructArray, list[int]]:
    """Parse serialized AnyValues; also the rows that could not be read, which come out empty."""
    return _parse(_ANY_VALUE, serialized)


def parse_pairs(serialized: pa.BinaryArray) -> tuple[pa.StructArray, list[int]]:
    """Parse serialized KeyValues; also the rows that could not be read, which come out empty."""
    return _parse(_KEY_VALUE, serialized)


def _parse(handler: Any, serialized: pa.BinaryArray) -> tuple[pa.StructArray, list[int]]:
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
