"""A test span and a test event over both protocols, as a sender would send them: the far side of `muniment doctor`."""

import http.client
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import grpc
from google.protobuf.message import DecodeError as ProtobufError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from warehouse.clock import Clock

SERVICE_NAME = "muniment-doctor"
_TIMEOUT_SECONDS = 10.0
_OK = 200
_SECOND_NANOS = 1_000_000_000


@dataclass(frozen=True)
class Step:
    """One step of the probe: what was tried, whether it worked, and what came back."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Target:
    """Where to send and as whom; `tls` verifies the receiver's certificate with the system's authorities."""

    host: str
    http_port: int
    grpc_port: int
    key: str
    tls: bool = False


def probe(target: Target, *, trace_id: bytes, span_ids: tuple[bytes, bytes], clock: Clock) -> list[Step]:
    """Send one span and one event by HTTP and by gRPC, stopping at the first step that fails.

    `span_ids` are the two spans' ids; all records carry `trace_id`, so that they can be looked for afterwards.
    """
    steps: list[Callable[[], Step]] = [
        lambda: _get(target, "/healthz", "receiver answers"),
        lambda: _get(target, "/readyz", "receiver is ready"),
        lambda: _post(target, "/v1/traces", _span(trace_id, span_ids[0], "doctor http", clock), "span by OTLP/HTTP"),
        lambda: _post(target, "/v1/logs", _event(trace_id, span_ids[0], clock), "event by OTLP/HTTP"),
        lambda: _call(target, "trace.v1.TraceService", _span(trace_id, span_ids[1], "doctor grpc", clock), "span by OTLP/gRPC"),
        lambda: _call(target, "logs.v1.LogsService", _event(trace_id, span_ids[1], clock), "event by OTLP/gRPC"),
    ]  # fmt: skip
    done = []
    for step in steps:
        done.append(step())
        if not done[-1].ok:
            break
    return done


def _connection(target: Target) -> http.client.HTTPConnection:
    if target.tls:
        return http.client.HTTPSConnection(
            target.host, target.http_port, timeout=_TIMEOUT_SECONDS, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(target.host, target.http_port, timeout=_TIMEOUT_SECONDS)


def _request(target: Target, method: str, path: str, body: bytes | None, name: str) -> Step:
    connection = _connection(target)
    headers = {"content-type": "application/x-protobuf", "x-api-key": target.key} if body is not None else {}
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        answer = response.read()
    except OSError as exc:
        return Step(name, ok=False, detail=f"{target.host}:{target.http_port}: {exc}")
    finally:
        connection.close()
    text = answer.decode("utf8", "replace")
    if response.status == _OK:
        # an OTLP answer has a body only where something was refused
        refused = body is not None and bool(text)
        return Step(name, ok=not refused, detail=_printable(text) if refused else "ok")
    if response.getheader("content-type", "").startswith("application/x-protobuf"):
        text = _status_message(answer) or text
    return Step(name, ok=False, detail=f"HTTP {response.status} {response.reason}: {_printable(text)}")


def _status_message(answer: bytes) -> str:
    """What a google.rpc.Status says; nothing when it is none."""
    try:
        return str(Status.FromString(answer).message)
    except ProtobufError:
        return ""


def _get(target: Target, path: str, name: str) -> Step:
    return _request(target, "GET", path, None, name)


def _post(target: Target, path: str, body: bytes, name: str) -> Step:
    return _request(target, "POST", path, body, name)


def _call(target: Target, service: str, body: bytes, name: str) -> Step:
    address = f"{target.host}:{target.grpc_port}"
    channel = (
        grpc.secure_channel(address, grpc.ssl_channel_credentials()) if target.tls else grpc.insecure_channel(address)
    )
    with channel:
        method = channel.unary_unary(f"/opentelemetry.proto.collector.{service}/Export")
        try:
            answer = method(body, timeout=_TIMEOUT_SECONDS, metadata=(("x-api-key", target.key),))
        except grpc.RpcError as exc:
            return Step(name, ok=False, detail=f"{address}: {exc.code().name}: {exc.details()}")
    return Step(name, ok=not answer, detail=_printable(answer.decode("utf8", "replace")) if answer else "ok")


def _printable(text: str) -> str:
    return "".join(char for char in text if char.isprintable()).strip()[:300]


def _span(trace_id: bytes, span_id: bytes, name: str, clock: Clock) -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    _service(resource.resource)
    span = resource.scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = trace_id, span_id, name
    span.end_time_unix_nano = clock()
    span.start_time_unix_nano = span.end_time_unix_nano - _SECOND_NANOS
    return request.SerializeToString()


def _event(trace_id: bytes, span_id: bytes, clock: Clock) -> bytes:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    _service(resource.resource)
    record = resource.scope_logs.add().log_records.add()
    record.trace_id, record.span_id, record.event_name = trace_id, span_id, "message.sent"
    record.time_unix_nano = clock()
    for key, value in (("audit.actor.id", SERVICE_NAME), ("audit.actor.type", "service"), ("audit.outcome", "success")):
        attribute = record.attributes.add()
        attribute.key, attribute.value.string_value = key, value
    return request.SerializeToString()


def _service(resource: object) -> None:
    attribute = resource.attributes.add()  # type: ignore[attr-defined]  # a protobuf Resource
    attribute.key, attribute.value.string_value = "service.name", SERVICE_NAME
