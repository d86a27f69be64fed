"""Bodies that nobody would send, against the real receivers: always an answer that fits, and alive afterwards."""

import gzip
import http.client
import json

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collectors.exports import IntakeLimits

SPAN = {
    "trace_id": b"\1" * 16,
    "span_id": b"\1" * 8,
    "name": "chat",
    "attributes": [{"key": "a", "value": {"int_value": 1}}],
}
GOOD_PROTOBUF = ExportTraceServiceRequest(resource_spans=[{"scope_spans": [{"spans": [SPAN]}]}]).SerializeToString()
GOOD_JSON = json.dumps(
    {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "01" * 16, "spanId": "01" * 8, "name": "chat"}]}]}]}
).encode()
GOOD = [GOOD_PROTOBUF, GOOD_JSON, gzip.compress(GOOD_PROTOBUF), gzip.compress(GOOD_JSON)]
ANSWERS = {200, 400, 413, 415}

cut = st.builds(lambda body, at: body[: int(at * len(body))], st.sampled_from(GOOD), st.floats(0, 1))
flipped = st.builds(
    lambda body, at, bits: body[: at % len(body)] + bytes([body[at % len(body)] ^ bits]) + body[at % len(body) + 1 :],
    st.sampled_from(GOOD),
    st.integers(0, 10_000),
    st.integers(1, 255),
)
bodies = st.one_of(st.binary(max_size=300), cut, flipped)
fuzz = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def fuzzed(make_harness):
    """Receivers with small limits, so that limits are met too."""
    return make_harness(IntakeLimits(body_bytes=250, decompressed_bytes=400))


def test_any_body_over_http(fuzzed):
    """Random, cut and damaged bodies under any type and encoding get 200, 400, 413 or 415, and the next request works."""
    connection = http.client.HTTPConnection("127.0.0.1", fuzzed.receivers.http_port, timeout=60)

    @fuzz
    @given(
        body=bodies,
        signal=st.sampled_from(["traces", "logs", "metrics"]),
        content_type=st.sampled_from(["application/x-protobuf", "application/json", "text/plain"]),
        encoding=st.sampled_from(["", "gzip", "deflate", "identity", "zstd"]),
    )
    def send(body, signal, content_type, encoding):
        headers = {"content-type": content_type, "x-api-key": fuzzed.key}
        if encoding:
            headers["content-encoding"] = encoding
        connection.request("POST", f"/v1/{signal}", body, headers)
        response = connection.getresponse()
        response.read()
        assert response.status in ANSWERS

    send()
    connection.request("GET", "/readyz")
    assert connection.getresponse().status == 200
    connection.close()
    assert not [status for _, _, status in fuzzed.receivers.answered if status >= 500]


def test_any_message_over_grpc(fuzzed):
    """Random, cut and damaged messages are taken, INVALID_ARGUMENT or RESOURCE_EXHAUSTED, and the next call works."""
    headers = (("x-api-key", fuzzed.key),)
    answers = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}
    with grpc.insecure_channel(fuzzed.grpc) as channel:
        call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")

        @fuzz
        @given(body=bodies)
        def send(body):
            try:
                call(body, metadata=headers, timeout=60)
            except grpc.RpcError as refused:
                assert refused.code() in answers  # noqa: PT017 - an answer is allowed too

        send()
        assert call(GOOD_PROTOBUF, metadata=headers, timeout=60) == b""


def test_requests_that_are_no_http(fuzzed):
    """What is not HTTP ends its own connection and nothing else."""
    import socket

    for garbage in (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n" * 100, bytes(1000)):
        with socket.create_connection(("127.0.0.1", fuzzed.receivers.http_port), timeout=60) as connection:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    connection = http.client.HTTPConnection("127.0.0.1", fuzzed.receivers.http_port, timeout=60)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()
