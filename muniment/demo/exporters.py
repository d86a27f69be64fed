"""The real OTLP exporters of a service, each with the last answer of its receiver.

An exporter says success or failure and forgets the rest of the answer, so a partial success (OTLP specification,
"Partial Success") would pass for a success. Here each answer is read: over HTTP by a hook of the session, over gRPC
around the stub's call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import requests
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from muniment.demo.fleet import Protocol as Transport

_REQUEST_SECONDS = 30.0
_GRPC_OPTIONS: Any = (("grpc.enable_http_proxy", 0),)


@dataclass(frozen=True)
class Endpoints:
    """Where the receivers listen, such as `http://127.0.0.1:4317` for gRPC and `http://127.0.0.1:4318` for HTTP."""

    grpc: str
    http: str


class Exporter(Protocol):
    """What the six OTLP exporters have in common; they return an enumeration whose success is named SUCCESS."""

    def export(self, batch: Any, /) -> Any:
        """Send a batch."""
        ...

    def shutdown(self) -> None:
        """Close connections."""
        ...


@dataclass
class Answer:
    """The last answer of a receiver: what it rejected and why; None before it came."""

    rejected: int | None = None
    message: str = ""

    def take(self, response: Any) -> None:
        """Read an OTLP response: its `partial_success` has one `rejected_…` field and a message."""
        partial = response.partial_success
        self.rejected = sum(value for name, value in _fields(partial).items() if name.startswith("rejected_"))
        self.message = partial.error_message


def _fields(message: Any) -> dict[str, Any]:
    return {descriptor.name: value for descriptor, value in message.ListFields()}


class _Listening:
    """A gRPC stub whose Export shows each response to `answer`."""

    def __init__(self, stub: Any, answer: Answer) -> None:
        self._stub = stub
        self._answer = answer

    def Export(self, **call: Any) -> Any:  # noqa: N802 - the name of the gRPC method
        response = self._stub.Export(**call)
        self._answer.take(response)
        return response


class _Answering:
    """Mixin for the gRPC exporters: keeps what the receiver answered, over reconnections too."""

    answer: Answer
    _client: Any

    def _initialize_channel_and_stub(self) -> None:
        super()._initialize_channel_and_stub()  # type: ignore[misc]  # the exporter that this is mixed into has it
        self.answer = getattr(self, "answer", None) or Answer()
        self._client = _Listening(self._client, self.answer)


class _GrpcSpans(_Answering, GrpcSpanExporter):
    pass


class _GrpcLogs(_Answering, GrpcLogExporter):
    pass


class _GrpcMetrics(_Answering, GrpcMetricExporter):
    pass


def _session(answer: Answer, response_type: Callable[[], Any]) -> requests.Session:
    """An HTTP session that shows each successful response to `answer`, and takes no proxy from the environment."""

    def read(response: requests.Response, *_: Any, **__: Any) -> None:
        if response.ok:
            message = response_type()
            message.ParseFromString(response.content)
            answer.take(message)

    session = requests.Session()
    session.trust_env = False
    session.hooks["response"].append(read)
    return session


Channel = tuple[Exporter, Answer]
"""An exporter and what its receiver answered last."""
Channels = tuple[Channel, Channel, Channel]
"""A service's exporters of spans, of log records and of metrics."""


def channels_for(transport: Transport, endpoints: Endpoints, headers: dict[str, str]) -> Channels:
    """Make the three exporters of a service."""
    return _over_grpc(endpoints.grpc, headers) if transport is Transport.GRPC else _over_http(endpoints.http, headers)


def _over_grpc(endpoint: str, headers: dict[str, str]) -> Channels:
    settings: dict[str, Any] = {
        "endpoint": endpoint,
        "insecure": endpoint.startswith("http://"),
        "headers": tuple(headers.items()),
        "timeout": _REQUEST_SECONDS,
        "channel_options": _GRPC_OPTIONS,
    }
    spans, logs, metrics = _GrpcSpans(**settings), _GrpcLogs(**settings), _GrpcMetrics(**settings)
    return (spans, spans.answer), (logs, logs.answer), (metrics, metrics.answer)


def _over_http(endpoint: str, headers: dict[str, str]) -> Channels:
    base = endpoint.rstrip("/")
    spans, logs, metrics = Answer(), Answer(), Answer()
    settings: dict[str, Any] = {"headers": headers, "timeout": _REQUEST_SECONDS}
    return (
        (
            HttpSpanExporter(
                endpoint=f"{base}/v1/traces",
                compression=Compression.Gzip,
                session=_session(spans, ExportTraceServiceResponse),
                **settings,
            ),
            spans,
        ),
        (
            HttpLogExporter(
                endpoint=f"{base}/v1/logs",
                compression=Compression.Deflate,
                session=_session(logs, ExportLogsServiceResponse),
                **settings,
            ),
            logs,
        ),
        (
            HttpMetricExporter(
                endpoint=f"{base}/v1/metrics",
                compression=Compression.NoCompression,
                session=_session(metrics, ExportMetricsServiceResponse),
                **settings,
            ),
            metrics,
        ),
    )
