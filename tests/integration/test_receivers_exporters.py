"""The real OpenTelemetry exporters against the real receivers."""

import hashlib
import hmac

import grpc
import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

from collectors.exports import Outcome, Sender, Signal
from warehouse.errors import OverloadedError

RESOURCE = Resource.create({"service.name": "support-agent"})
PROTOCOLS = [("grpc", False), ("grpc", True), ("http", False), ("http", True)]
IDS = [f"{protocol}{'-gzip' if gzip else ''}" for protocol, gzip in PROTOCOLS]


def exporter_of(kinds, path, harness, *, protocol, gzip, key=None):
    """One of the two exporters of a signal, pointed at the receivers."""
    headers = {"authorization": f"Bearer {key or harness.key}"}
    if protocol == "grpc":
        compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
        return kinds[0](endpoint=harness.grpc, insecure=True, headers=headers, compression=compression, timeout=60)
    compression = Compression.Gzip if gzip else Compression.NoCompression
    return kinds[1](endpoint=f"{harness.http}{path}", headers=headers, compression=compression, timeout=60)


def span_exporter(harness, protocol, gzip=False, key=None):
    """A span exporter pointed at the receivers."""
    return exporter_of(
        (GrpcSpanExporter, HttpSpanExporter), "/v1/traces", harness, protocol=protocol, gzip=gzip, key=key
    )


def ended_spans(names):
    """Spans ended and not exported, for calling an exporter by hand."""
    tracer = TracerProvider(resource=RESOURCE, shutdown_on_exit=False).get_tracer("test")
    spans = []
    for name in names:
        span = tracer.start_span(name, attributes={"gen_ai.request.model": "m-1"})
        span.end()
        spans.append(span)
    return spans


@pytest.mark.parametrize(("protocol", "gzip"), PROTOCOLS, ids=IDS)
def test_spans_arrive(harness, protocol, gzip):
    """A span sent with the SDK reaches the intake once, under the key's tenant, with a digest of its uncompressed body."""
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(span_exporter(harness, protocol, gzip)))
    with provider.get_tracer("test").start_as_current_span("chat m-1"):
        pass
    provider.shutdown()
    (export,) = harness.intake.exports
    (message,) = harness.intake.messages()
    assert message.resource_spans[0].scope_spans[0].spans[0].name == "chat m-1"
    assert export.signal is Signal.TRACES
    assert (export.sender.tenant_id, export.sender.recorded_by) == ("acme", "key:k1")
    host, _, port = export.sender.peer.rpartition(":")
    assert host == "127.0.0.1"
    assert port.isdigit()
    expected = hmac.new(b"d" * 32, b"traces\0k1\0" + export.body, hashlib.sha256).digest()[:16]
    assert export.digest == expected
    assert export.received_unix_nano == 1_764_000_000_000_000_000


@pytest.mark.parametrize(("protocol", "gzip"), PROTOCOLS, ids=IDS)
def test_log_records_arrive(harness, protocol, gzip):
    """A log record with an event name sent with the SDK reaches the intake."""
    exporter = exporter_of((GrpcLogExporter, HttpLogExporter), "/v1/logs", harness, protocol=protocol, gzip=gzip)
    provider = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("test").emit(
        LogRecord(timestamp=1, severity_number=SeverityNumber.INFO, body="yes", event_name="approval.granted")
    )
    provider.shutdown()
    (message,) = harness.intake.messages()
    assert message.resource_logs[0].scope_logs[0].log_records[0].event_name == "approval.granted"


@pytest.mark.parametrize(("protocol", "gzip"), PROTOCOLS, ids=IDS)
def test_metrics_arrive(harness, protocol, gzip):
    """A counter sent with the SDK reaches the intake."""
    exporter = exporter_of(
        (GrpcMetricExporter, HttpMetricExporter), "/v1/metrics", harness, protocol=protocol, gzip=gzip
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=60_000)
    provider = MeterProvider([reader], resource=RESOURCE, shutdown_on_exit=False)
    provider.get_meter("test").create_counter("runs").add(3)
    provider.shutdown()
    (message,) = harness.intake.messages()
    assert message.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0].as_int == 3


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_partial_success_is_no_failure_to_an_exporter(harness, protocol):
    """An exporter told of a partial success neither fails nor sends again."""
    harness.intake.outcome = Outcome(1, 2, "2 spans refused: bad-trace-id")
    exporter = span_exporter(harness, protocol)
    assert exporter.export(ended_spans(["a", "b", "c"])) is SpanExportResult.SUCCESS
    exporter.shutdown()
    assert harness.intake.submitted == 1


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_an_exporter_retries_through_overload(harness, protocol):
    """An exporter refused for a full queue comes back by itself, with the same digest, and loses nothing."""
    harness.intake.errors = [OverloadedError("the queue is full", retry_after_seconds=0.1)]
    exporter = span_exporter(harness, protocol, gzip=True)
    assert exporter.export(ended_spans(["a"])) is SpanExportResult.SUCCESS
    exporter.shutdown()
    assert harness.intake.submitted == 2
    assert len(harness.intake.exports) == 1


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_an_exporter_without_a_valid_key_fails_at_once(harness, protocol):
    """A wrong key is refused for good: the exporter does not retry and the intake sees nothing."""
    exporter = span_exporter(harness, protocol, key="mk-wrong")
    assert exporter.export(ended_spans(["a"])) is SpanExportResult.FAILURE
    exporter.shutdown()
    assert harness.intake.submitted == 0


def test_a_scoped_key_carries_its_scope(harness):
    """The scope of a key reaches the intake in its sender."""
    exporter = span_exporter(harness, "http", key="mk-narrow")
    exporter.export(ended_spans(["a"]))
    exporter.shutdown()
    sender = harness.intake.exports[0].sender
    assert sender == Sender("acme", "k2", "key:k2", sender.peer, "billing", ("approval.*",))


def test_a_known_key_costs_no_thread(harness):
    """A key is resolved beside the event loop once, and then told from memory."""
    exporter = span_exporter(harness, "http")
    for _ in range(3):
        exporter.export(ended_spans(["a"]))
    exporter.shutdown()
    assert len(harness.keys.resolved_on) == 1
    assert harness.keys.resolved_on[0] != "receivers"
