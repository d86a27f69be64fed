"""Protobuf files: one message, or messages each preceded by its length as the collector's file exporter writes them."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from google.protobuf.message import DecodeError as ProtobufDecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collectors.exports import Signal
from warehouse.errors import DecodeError, LimitError

_LENGTH = struct.Struct(">I")
_FIRST_FIELD = 0x0A
_TRACE_ID_BYTES = 16
_SPAN_ID_BYTES = 8


def split_messages(stream: BinaryIO, limit_bytes: int, *, size_bytes: int | None = None) -> Iterator[bytes]:
    """Yield the serialized requests of a file.

    Every OTLP request begins with field 1 (byte 0x0A); a length prefix (4 bytes, big-endian) below 160 MiB does not.
    `size_bytes` is the file's size where it is known.

    Raises:
        DecodeError: the first bytes are no length of a message in this file.
        LimitError: a message is larger than `limit_bytes`, or the file ends inside one.
    """
    first = stream.read(1)
    stream.seek(0)
    if first and first[0] == _FIRST_FIELD:
        message = stream.read(limit_bytes + 1)
        if len(message) > limit_bytes:
            raise LimitError(f"protobuf message over the limit decompressed_bytes {limit_bytes}")
        yield message
        return
    at = 0
    while prefix := stream.read(_LENGTH.size):
        if len(prefix) < _LENGTH.size:
            raise LimitError(f"file ends inside a length prefix: expected 4 bytes, got {len(prefix)}")
        (length,) = _LENGTH.unpack(prefix)
        if at == 0 and size_bytes is not None and length > size_bytes - _LENGTH.size:
            raise DecodeError(
                f"not protobuf behind lengths: its first 4 bytes would be the length {length} of a message,"
                f" got a file of {size_bytes} bytes"
            )
        at += _LENGTH.size + length
        if length > limit_bytes:
            raise LimitError(f"protobuf message of {length} bytes is over the limit decompressed_bytes {limit_bytes}")
        message = stream.read(length)
        if len(message) < length:
            raise LimitError(f"file ends inside a message: expected {length} bytes, got {len(message)}")
        yield message


def guess_signal(message: bytes) -> Signal | None:
    """Tell which signal a request carries; None when more than one fits or none does.

    The three requests share their outer shape, so the records decide: span ids of the right size, metric names with data,
    log records with a time.
    """
    fits = [signal for signal, test in _TESTS.items() if test(message)]
    return fits[0] if len(fits) == 1 else None


def _is_traces(message: bytes) -> bool:
    request = ExportTraceServiceRequest()
    if not _parses(request, message):
        return False
    spans = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
    return bool(spans) and all(
        len(span.trace_id) == _TRACE_ID_BYTES and len(span.span_id) == _SPAN_ID_BYTES for span in spans
    )


def _is_metrics(message: bytes) -> bool:
    request = ExportMetricsServiceRequest()
    if not _parses(request, message):
        return False
    metrics = [m for resource in request.resource_metrics for scope in resource.scope_metrics for m in scope.metrics]
    return bool(metrics) and all(metric.name.isprintable() and metric.WhichOneof("data") for metric in metrics)


def _is_logs(message: bytes) -> bool:
    request = ExportLogsServiceRequest()
    if not _parses(request, message):
        return False
    records = [r for resource in request.resource_logs for scope in resource.scope_logs for r in scope.log_records]
    return bool(records) and all(record.time_unix_nano or record.observed_time_unix_nano for record in records)


def _parses(request: object, message: bytes) -> bool:
    try:
        request.ParseFromString(message)  # type: ignore[attr-defined]  # every protobuf message has it
    except ProtobufDecodeError:
        return False
    return True


_TESTS = {Signal.TRACES: _is_traces, Signal.LOGS: _is_logs, Signal.METRICS: _is_metrics}
