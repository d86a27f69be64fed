"""OTLP/gRPC status by status, with a plain gRPC client."""

import gzip
import zlib

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from collectors.exports import IntakeLimits, Outcome, Signal
from collectors.grpc import peer_address
from warehouse.errors import CorruptionError, DeniedError, OverloadedError, UnavailableError

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture
def connect():
    """Open channels that are closed at the end."""
    channels = []

    def open_channel(harness):
        channel = grpc.insecure_channel(harness.grpc, options=[("grpc.max_send_message_length", -1)])
        channels.append(channel)
        return channel

    yield open_channel
    for channel in channels:
        channel.close()


def metadata_of(harness):
    """Metadata with the harness's key."""
    return (("authorization", f"Bearer {harness.key}"),)


def request_of(name="chat"):
    """A request of one span."""
    span = {"trace_id": b"\1" * 16, "span_id": b"\1" * 8, "name": name}
    return ExportTraceServiceRequest(resource_spans=[{"scope_spans": [{"spans": [span]}]}])


def test_the_three_services(harness, connect):
    """The stubs generated from OTLP's service definitions reach the right signal."""
    channel = connect(harness)
    for stub, signal in ((TraceServiceStub, "trace"), (LogsServiceStub, "logs"), (MetricsServiceStub, "metrics")):
        module = __import__(f"opentelemetry.proto.collector.{signal}.v1.{signal}_service_pb2", fromlist=["x"])
        request = getattr(module, f"Export{'Trace' if signal == 'trace' else signal.title()}ServiceRequest")()
        answer = stub(channel).Export(request, metadata=metadata_of(harness), timeout=60)
        assert not answer.HasField("partial_success")
    assert [export.signal for export in harness.intake.exports] == [Signal.TRACES, Signal.LOGS, Signal.METRICS]


@pytest.mark.parametrize(
    "metadata",
    [(("authorization", "bearer mk-acme-0123456789"),), (("x-api-key", "mk-acme-0123456789"),)],
)
def test_a_key_is_taken_from_either_entry(harness, connect, metadata):
    """The key comes as a bearer token, the scheme in any case, or as x-api-key."""
    TraceServiceStub(connect(harness)).Export(request_of(), metadata=metadata, timeout=60)
    assert harness.intake.exports[0].sender.tenant_id == "acme"


@pytest.mark.parametrize(
    "metadata", [(), (("authorization", "Bearer mk-wrong"),), (("authorization", "Basic dTpw"),), (("x-api-key", ""),)]
)
def test_no_valid_key(harness, connect, metadata):
    """Without a valid key the answer is UNAUTHENTICATED and the intake sees nothing."""
    with pytest.raises(grpc.RpcError) as refused:
        TraceServiceStub(connect(harness)).Export(request_of(), metadata=metadata, timeout=60)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert harness.intake.submitted == 0


@pytest.mark.parametrize(
    ("error", "expected", "retry_seconds"),
    [
        (OverloadedError("queue full", retry_after_seconds=0.25), grpc.StatusCode.UNAVAILABLE, 0.25),
        (UnavailableError("disk full"), grpc.StatusCode.UNAVAILABLE, 5),
        (CorruptionError("journal"), grpc.StatusCode.UNAVAILABLE, 5),
        (DeniedError("not yours"), grpc.StatusCode.PERMISSION_DENIED, None),
        (ZeroDivisionError("secret text"), grpc.StatusCode.INTERNAL, None),
    ],
)
def test_errors_of_the_intake(harness, connect, caplog, *, error, expected, retry_seconds):
    """What the sender cannot help is UNAVAILABLE with RetryInfo; a defect of ours is INTERNAL with nothing of its text."""
    harness.intake.errors = [error]
    with pytest.raises(grpc.RpcError) as refused:
        TraceServiceStub(connect(harness)).Export(request_of(), metadata=metadata_of(harness), timeout=60)
    assert refused.value.code() is expected
    assert "secret text" not in refused.value.details() + caplog.text
    details = dict(refused.value.trailing_metadata()).get("grpc-status-details-bin")
    if retry_seconds is None:
        assert details is None
        return
    status, retry = Status.FromString(details), RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.ToNanoseconds() == retry_seconds * 1e9


def test_bytes_that_are_no_request(harness, connect):
    """A message that does not decode is INVALID_ARGUMENT."""
    with pytest.raises(grpc.RpcError) as refused:
        connect(harness).unary_unary(EXPORT)(b"\xff\xff", metadata=metadata_of(harness), timeout=60)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_partial_success(harness, connect):
    """A partial success names the count and the reason."""
    harness.intake.outcome = Outcome(1, 2, "2 refused: out-of-scope")
    answer = connect(harness).unary_unary(
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        response_deserializer=ExportLogsServiceResponse.FromString,
    )(b"", metadata=metadata_of(harness), timeout=60)
    partial = answer.partial_success
    assert (partial.rejected_log_records, partial.error_message) == (2, "2 refused: out-of-scope")


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
@pytest.mark.parametrize("size", [1, 500, 300_000])
def test_compressed_messages(harness, connect, compression, size):
    """Gzip and deflate messages arrive as they were before compression."""
    request = request_of("x" * size)
    TraceServiceStub(connect(harness)).Export(
        request, metadata=metadata_of(harness), compression=compression, timeout=60
    )
    assert harness.intake.messages() == [request]


def test_a_message_that_only_looks_compressed_is_taken_as_it_is(harness, connect):
    """A protobuf that happens to begin like a zlib header (an unknown field 15) is not inflated."""
    body = b"\x78\x01" + request_of().SerializeToString()
    connect(harness).unary_unary(EXPORT)(body, metadata=metadata_of(harness), timeout=60)
    assert harness.intake.exports[0].body == body


@pytest.mark.parametrize(
    ("message", "compression", "limit"),
    [
        (gzip.compress(bytes(60_000_000)), None, "limits.decompressed_bytes = 1000000"),
        (zlib.compress(bytes(60_000_000)), None, "limits.decompressed_bytes = 1000000"),
        (bytes(30_000_000), grpc.Compression.Gzip, "limits.decompressed_bytes = 1000000"),
        (bytes(300_000), None, "200000"),
    ],
)
def test_messages_over_a_limit(make_harness, connect, message, compression, limit):
    """A message over a limit, as sent or once inflated, is RESOURCE_EXHAUSTED, says the limit and invites no retry."""
    harness = make_harness(IntakeLimits(body_bytes=200_000, decompressed_bytes=1_000_000))
    with pytest.raises(grpc.RpcError) as refused:
        connect(harness).unary_unary(EXPORT)(
            message, metadata=metadata_of(harness), compression=compression, timeout=60
        )
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert limit in refused.value.details()
    assert "grpc-status-details-bin" not in dict(refused.value.trailing_metadata())
    assert harness.intake.submitted == 0


def test_health(harness, connect):
    """The health service says SERVING while the collector is ready, of the whole and of each service."""
    stub = health_pb2_grpc.HealthStub(connect(harness))
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    for name in ("", service):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=60)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    harness.problems.append("journal: disk full")
    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=60)
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    with pytest.raises(grpc.RpcError) as refused:
        stub.Check(health_pb2.HealthCheckRequest(service="other"), timeout=60)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_other_methods(harness, connect):
    """A method that is none of ours is UNIMPLEMENTED."""
    with pytest.raises(grpc.RpcError) as refused:
        connect(harness).unary_unary("/a.B/C")(b"", metadata=metadata_of(harness), timeout=60)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_call_given_up_does_not_undo_what_was_submitted(harness, connect):
    """A client's deadline ends its waiting; the request it sent is still kept, and the receiver goes on."""
    stub = TraceServiceStub(connect(harness))
    stub.Export(request_of("first"), metadata=metadata_of(harness), timeout=60)  # the deadline is not for connecting
    harness.intake.hold.set()
    with pytest.raises(grpc.RpcError) as refused:
        stub.Export(request_of("late"), metadata=metadata_of(harness), timeout=3)
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    harness.intake.hold.clear()
    stub.Export(request_of("next"), metadata=metadata_of(harness), timeout=60)
    names = [message.resource_spans[0].scope_spans[0].spans[0].name for message in harness.intake.messages()]
    assert names == ["first", "late", "next"]


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("ipv4:127.0.0.1:40312", "127.0.0.1:40312"),
        ("ipv6:%5B::1%5D:40312", "::1:40312"),
        ("unix:/tmp/x", "unix:/tmp/x"),
    ],
)
def test_peer_addresses(peer, expected):
    """A peer is named alike whichever protocol it used."""
    assert peer_address(peer) == expected
