"""The demo's sender against real OTLP receivers on loopback: everything arrives, and a refusal is never taken for success."""

import gzip
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_pb
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import add_LogsServiceServicer_to_server
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import add_MetricsServiceServicer_to_server
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import add_TraceServiceServicer_to_server
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from muniment.demo import DeliveryError, Endpoints, run_demo, tenant_names
from muniment.demo.fleet import PROCUREMENT, SUPPORT
from muniment.demo.sender import Sender
from warehouse.errors import InputError, UnavailableError

END = 1_795_364_523_456_789_012
KEYS = {tenant: f"key-of-{tenant}" for tenant in tenant_names()}
REQUESTS = {
    "traces": (trace_pb.ExportTraceServiceRequest, trace_pb.ExportTraceServiceResponse),
    "logs": (logs_pb.ExportLogsServiceRequest, logs_pb.ExportLogsServiceResponse),
    "metrics": (metrics_pb.ExportMetricsServiceRequest, metrics_pb.ExportMetricsServiceResponse),
}
RESOURCES = {"traces": "resource_spans", "logs": "resource_logs", "metrics": "resource_metrics"}


@dataclass
class Received:
    """What the receivers got: requests with the key they came with; and what to answer instead of a success."""

    requests: list[tuple[str, str, object]] = field(default_factory=list)
    answers: list[object] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, signal: str, key: str, request: object) -> object:
        """Note a request; returns the next planned answer, or an empty response."""
        with self.lock:
            self.requests.append((signal, key, request))
            return self.answers.pop(0) if self.answers else REQUESTS[signal][1]()


def _http_handler(received: Received) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            signal = self.path.removeprefix("/v1/")
            body = self.rfile.read(int(self.headers["content-length"]))
            unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(self.headers["content-encoding"], bytes)
            request = REQUESTS[signal][0].FromString(unpack(body))
            answer = received.take(signal, self.headers["authorization"], request)
            status, content = (answer, b"") if isinstance(answer, int) else (200, answer.SerializeToString())
            self.send_response(status)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    return Handler


def _servicer(signal: str, received: Received) -> object:
    class Servicer:
        def Export(self, request, context):  # noqa: N802 - the name of the gRPC method
            answer = received.take(signal, dict(context.invocation_metadata())["authorization"], request)
            if isinstance(answer, grpc.StatusCode):
                context.abort(answer, "planned")
            return answer

    return Servicer()


@pytest.fixture
def receivers() -> Iterator[tuple[Endpoints, Received]]:
    """A gRPC and an HTTP receiver on free loopback ports."""
    received = Received()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _http_handler(received))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    server = grpc.server(ThreadPoolExecutor(2), options=(("grpc.so_reuseport", 0),))
    add_TraceServiceServicer_to_server(_servicer("traces", received), server)
    add_LogsServiceServicer_to_server(_servicer("logs", received), server)
    add_MetricsServiceServicer_to_server(_servicer("metrics", received), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield Endpoints(grpc=f"http://127.0.0.1:{port}", http=f"http://127.0.0.1:{http.server_address[1]}"), received
    server.stop(grace=None).wait()
    http.shutdown()
    http.server_close()
    thread.join()


def spans() -> list[ReadableSpan]:
    """Two ended spans."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for name in ("one", "two"):
        provider.get_tracer("test").start_span(name).end()
    return list(exporter.get_finished_spans())


def rejecting(count: int) -> object:
    """A partial success that rejects `count` spans."""
    return trace_pb.ExportTraceServiceResponse(
        partial_success=trace_pb.ExportTracePartialSuccess(rejected_spans=count, error_message="too old")
    )


def send(endpoints: Endpoints, service: object) -> Sender:
    """Send two spans of a service."""
    with Sender(endpoints, KEYS, pause=lambda _seconds: None) as sender:
        sender.outlet_for(service).spans(spans())
        sender.finish()
    return sender


def test_everything_arrives_with_its_tenants_key(receivers):
    """What real receivers got is what the truth counts, each request with the key of its records' tenant."""
    endpoints, received = receivers
    shares: list[float] = []
    result = run_demo(
        seed=7, end_unix_nano=END, days=7, scale=0.01, endpoints=endpoints, keys=KEYS, progress=shares.append
    )
    counts: Counter[tuple[str, str]] = Counter()
    for signal, key, request in received.requests:
        for resource in getattr(request, RESOURCES[signal]):
            (tenant,) = (a.value.string_value for a in resource.resource.attributes if a.key == "service.namespace")
            assert key == f"Bearer key-of-{tenant}"
            counts[tenant, signal] += _records(signal, resource)
    for tenant, expected in result.truth["counts"].items():
        assert counts[tenant, "traces"] == expected["spans"]
        assert counts[tenant, "logs"] == expected["audit_events"] + expected["logs"]
        assert counts[tenant, "metrics"] == expected["metric_points"]
    assert result.delivered.acknowledged == result.delivered.sent
    assert result.delivered.requests == len(received.requests)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def _records(signal: str, resource) -> int:
    if signal == "traces":
        return sum(len(scope.spans) for scope in resource.scope_spans)
    if signal == "logs":
        return sum(len(scope.log_records) for scope in resource.scope_logs)
    return sum(len(metric.histogram.data_points) for scope in resource.scope_metrics for metric in scope.metrics)


@pytest.mark.parametrize(
    ("service", "answer"), [(SUPPORT, 500), (PROCUREMENT, grpc.StatusCode.INTERNAL)], ids=["http", "grpc"]
)
def test_a_failed_batch_is_sent_again(receivers, service, answer):
    """A batch that a receiver fails to take is sent again, the same records, and counted once."""
    endpoints, received = receivers
    received.answers.append(answer)
    delivered = send(endpoints, service).delivered
    assert delivered.acknowledged["spans"] == 2
    assert delivered.retries == 1
    (first, second) = [request for _, _, request in received.requests]
    assert first == second


@pytest.mark.parametrize("service", [SUPPORT, PROCUREMENT], ids=["http", "grpc"])
def test_a_partial_success_is_an_error(receivers, service):
    """When a receiver rejects one record, the demo ends with its message, though the exporter says success."""
    endpoints, received = receivers
    received.answers.append(rejecting(1))
    with pytest.raises(DeliveryError, match="all of 2 spans to be accepted, 1 were rejected: too old"):
        send(endpoints, service)


@pytest.mark.parametrize(
    ("service", "answer"), [(SUPPORT, 401), (PROCUREMENT, grpc.StatusCode.UNAUTHENTICATED)], ids=["http", "grpc"]
)
def test_a_receiver_that_never_accepts_ends_the_demo(receivers, service, answer):
    """After six attempts the demo gives up and says so; nothing is dropped in silence."""
    endpoints, received = receivers
    received.answers.extend([answer] * 6)
    with pytest.raises(UnavailableError, match="2 spans were not accepted in 6 attempts"):
        send(endpoints, service)
    assert len(received.requests) == 6


def test_a_failure_stops_the_simulation(receivers):
    """The first refused batch ends the whole demo instead of letting it run on."""
    endpoints, received = receivers
    received.answers.extend([rejecting(1)] * 100)
    with pytest.raises(DeliveryError):
        run_demo(seed=7, end_unix_nano=END, days=30, scale=0.05, endpoints=endpoints, keys=KEYS)
    assert len(received.requests) < 100


def test_a_missing_key_is_named():
    """Without a key for each tenant the demo does not begin."""
    with pytest.raises(InputError, match="missing aurora-bank"):
        run_demo(
            seed=7,
            end_unix_nano=END,
            endpoints=Endpoints("http://127.0.0.1:1", "http://127.0.0.1:1"),
            keys={name: "k" for name in tenant_names() if name != "aurora-bank"},
        )
