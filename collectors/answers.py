"""Answers of both receivers: outcomes as OTLP responses, errors as statuses that say whether to try again.

Standards: OTLP §OTLP/HTTP Response and §OTLP/gRPC Response (which statuses invite a retry), google.rpc.Status for the body
of an error, google.rpc.RetryInfo for the delay.
"""

import logging
import math
import traceback
from dataclasses import dataclass

import msgspec
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collectors.bodies import TooLargeError, UnsupportedEncodingError
from collectors.exports import Outcome, Signal
from warehouse.errors import (
    DeniedError,
    MunimentError,
    NotFoundError,
    OverloadedError,
    Permanent,
    UnauthenticatedError,
)

_LOG = logging.getLogger("muniment.receivers")

DEFAULT_RETRY_SECONDS = 5.0
"""When to come back where the error itself does not say."""

# Codes of google.rpc.Code, which are gRPC's status codes.
OK = 0
INVALID_ARGUMENT = 3
NOT_FOUND = 5
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
INTERNAL = 13
UNAVAILABLE = 14
UNAUTHENTICATED = 16


@dataclass(frozen=True)
class Fault:
    """An error as receivers answer it; `retry_after_seconds` is set where the same request may succeed later."""

    http_status: int
    grpc_code: int
    message: str
    retry_after_seconds: float | None = None

    @property
    def retry_after_header(self) -> str | None:
        """Whole seconds, at least one, as HTTP's Retry-After has them."""
        return None if self.retry_after_seconds is None else str(max(1, math.ceil(self.retry_after_seconds)))

    def status(self) -> Status:
        """The error as google.rpc.Status, with RetryInfo where a retry makes sense."""
        status = Status(code=self.grpc_code, message=self.message)
        if self.retry_after_seconds is not None:
            delay = Duration()
            delay.FromNanoseconds(int(self.retry_after_seconds * 1_000_000_000))
            status.details.add().Pack(RetryInfo(retry_delay=delay))
        return status

    def status_json(self) -> bytes:
        """The error as google.rpc.Status in JSON."""
        return msgspec.json.encode({"code": self.grpc_code, "message": self.message})


_PERMANENT: tuple[tuple[type, int, int], ...] = (
    (TooLargeError, 413, RESOURCE_EXHAUSTED),
    (UnsupportedEncodingError, 415, INVALID_ARGUMENT),
    (UnauthenticatedError, 401, UNAUTHENTICATED),
    (DeniedError, 403, PERMISSION_DENIED),
    (NotFoundError, 404, NOT_FOUND),
    (Permanent, 400, INVALID_ARGUMENT),
)


def fault_of(error: Exception, receiver: str) -> Fault:
    """Say how an error is answered.

    What is neither the sender's fault nor expected is logged: its type and where it came from, not its text, which may
    quote a payload.
    """
    if not isinstance(error, MunimentError):
        where = "".join(traceback.format_tb(error.__traceback__))
        _LOG.error("%s receiver: unexpected %s\n%s", receiver, type(error).__name__, where)
        return Fault(500, INTERNAL, "internal error; the collector's log says more")
    message = str(error) if error.hint is None else f"{error} ({error.hint})"
    for kind, http_status, grpc_code in _PERMANENT:
        if isinstance(error, kind):
            return Fault(http_status, grpc_code, message)
    # Transient, or the lake is not as it must be: not the sender's doing, and what it keeps can be sent again.
    retry_after = error.retry_after_seconds if isinstance(error, OverloadedError) else DEFAULT_RETRY_SECONDS
    return Fault(503, UNAVAILABLE, message, retry_after)


def response_protobuf(signal: Signal, outcome: Outcome) -> bytes:
    """The export response; empty where everything was kept and there is nothing to say (OTLP §partial-success)."""
    if not outcome.rejected and not outcome.message:
        return b""
    if signal is Signal.TRACES:
        traces = ExportTraceServiceResponse()
        traces.partial_success.rejected_spans = outcome.rejected
        traces.partial_success.error_message = outcome.message
        return traces.SerializeToString()
    if signal is Signal.LOGS:
        logs = ExportLogsServiceResponse()
        logs.partial_success.rejected_log_records = outcome.rejected
        logs.partial_success.error_message = outcome.message
        return logs.SerializeToString()
    metrics = ExportMetricsServiceResponse()
    metrics.partial_success.rejected_data_points = outcome.rejected
    metrics.partial_success.error_message = outcome.message
    return metrics.SerializeToString()


_REJECTED_JSON = {
    Signal.TRACES: "rejectedSpans",
    Signal.LOGS: "rejectedLogRecords",
    Signal.METRICS: "rejectedDataPoints",
}


def response_json(signal: Signal, outcome: Outcome) -> bytes:
    """The export response in JSON; 64-bit counts are text there."""
    if not outcome.rejected and not outcome.message:
        return b"{}"
    partial = {_REJECTED_JSON[signal]: str(outcome.rejected), "errorMessage": outcome.message}
    return msgspec.json.encode({"partialSuccess": partial})
