"""OTLP/HTTP status by status, with plain HTTP clients."""

import gzip
import http.client
import json
import socket
import time
import zlib

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collectors.exports import IntakeLimits, Outcome, Signal
from collectors.http_connection import BoundedConnection
from warehouse.errors import (
    ControlUnavailableError,
    CorruptionError,
    DeniedError,
    NotFoundError,
    OverloadedError,
    UnavailableError,
)

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
SPAN_JSON = {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "name": "chat"}


def traces_json(*spans):
    """A JSON request of these spans."""
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}).encode()


def traces_protobuf(name="chat"):
    """A protobuf request of one span."""
    span = {"trace_id": b"\1" * 16, "span_id": b"\1" * 8, "name": name}
    return ExportTraceServiceRequest(resource_spans=[{"scope_spans": [{"spans": [span]}]}]).SerializeToString()


def call(harness, path, body=b"", *, method="POST", content_type=PROTOBUF, key="bearer", **headers):
    """Send one request on a connection of its own; return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", harness.receivers.http_port, timeout=60)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type is not None:
        sent["content-type"] = content_type
    if key == "bearer":
        sent["authorization"] = f"Bearer {harness.key}"
    try:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("signal", list(Signal))
@pytest.mark.parametrize(("content_type", "body", "expected"), [(PROTOBUF, b"", b""), (JSON, b"{}", b"{}")])
def test_an_empty_request_is_a_full_success(harness, signal, content_type, body, expected):
    """A request without records is legal and answered with an empty response in its own encoding."""
    status, headers, answer = call(harness, f"/v1/{signal.value}", body, content_type=content_type)
    assert (status, answer, headers["content-type"]) == (200, expected, content_type)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "bearer mk-acme-0123456789"},
        {"authorization": "BEARER  mk-acme-0123456789 "},
        {"x_api_key": "mk-acme-0123456789"},
        {"x_api_key": "mk-acme-0123456789", "authorization": "Basic dTpw"},
    ],
)
def test_a_key_is_taken_from_either_header(harness, headers):
    """The key comes as a bearer token, the scheme in any case, or as x-api-key."""
    assert call(harness, "/v1/traces", traces_protobuf(), key=None, **headers)[0] == 200


REFUSED = {
    "no key": ({"key": None}, 401, 16),
    "wrong key": ({"key": None, "authorization": "Bearer mk-wrong"}, 401, 16),
    "another scheme": ({"key": None, "authorization": "Basic dTpw"}, 401, 16),
    "no content type": ({"content_type": None}, 415, 3),
    "text": ({"content_type": "text/plain"}, 415, 3),
    "another charset": ({"content_type": "application/json; charset=latin-1", "body": b"{}"}, 415, 3),
    "another encoding": ({"content_encoding": "br"}, 415, 3),
    "two encodings": ({"content_encoding": "gzip, deflate"}, 415, 3),
    "gzip that is none": ({"content_encoding": "gzip"}, 400, 3),
    "deflate that is none": ({"content_encoding": "deflate", "body": b"\xff\xff\xff"}, 400, 3),
    "json that is none": ({"content_type": JSON, "body": b"{"}, 400, 3),
    "json with a wrong root": ({"content_type": JSON, "body": b"[]"}, 400, 3),
    "json of nothing": ({"content_type": JSON, "body": b""}, 400, 3),
    "protobuf that is none": ({"body": b"\xff\xff"}, 400, 3),
    "a GET": ({"method": "GET"}, 405, 12),
    "a PUT": ({"method": "PUT"}, 405, 12),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_how(harness, name):
    """Each misuse has its status, with google.rpc.Status in the request's encoding saying what was expected."""
    arguments, expected_status, expected_code = REFUSED[name]
    status, headers, answer = call(harness, "/v1/traces", **{"body": traces_protobuf(), **arguments})
    assert status == expected_status
    if arguments.get("content_type", PROTOBUF) == PROTOBUF:
        assert headers["content-type"] == PROTOBUF
        error = Status.FromString(answer)
        code, message = error.code, error.message
    else:
        assert headers["content-type"] == JSON
        code, message = json.loads(answer)["code"], json.loads(answer)["message"]
    assert code == expected_code
    assert "expected" in message or "known" in message
    assert "mk-" not in message
    assert ("www-authenticate" in headers) == (status == 401)
    assert headers.get("allow") == ("POST" if status == 405 else None)
    assert harness.intake.exports == []


@pytest.mark.parametrize(
    ("error", "expected", "retry_after"),
    [
        (OverloadedError("queue full", retry_after_seconds=0.2), 503, "1"),
        (OverloadedError("queue full", retry_after_seconds=2.5), 503, "3"),
        (UnavailableError("disk full"), 503, "5"),
        (CorruptionError("journal"), 503, "5"),
        (DeniedError("not yours"), 403, None),
        (NotFoundError("no such tenant"), 404, None),
        (ZeroDivisionError("secret text"), 500, None),
    ],
)
def test_errors_of_the_intake(harness, error, expected, retry_after, caplog):
    """What the sender cannot help is answered with 503 and Retry-After; a defect of ours with 500 and nothing of its text."""
    harness.intake.errors = [error]
    status, headers, answer = call(harness, "/v1/traces", traces_protobuf())
    assert (status, headers.get("retry-after")) == (expected, retry_after)
    assert "secret text" not in Status.FromString(answer).message + caplog.text
    assert harness.receivers.answered["http", "traces", expected] == 1


def test_without_the_control_database_nobody_is_let_in(harness):
    """A key that cannot be looked up is no wrong key: 503, to be tried again."""
    harness.keys.error = ControlUnavailableError("control database does not answer")
    status, headers, _ = call(harness, "/v1/traces", traces_protobuf())
    assert (status, headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(
    ("signal", "response", "count", "json_name"),
    [
        ("traces", ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
        ("logs", ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
        ("metrics", ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
    ],
)
def test_partial_success_in_both_encodings(harness, signal, response, count, json_name):
    """A partial success says how many records were refused and why, in the encoding of the request."""
    harness.intake.outcome = Outcome(3, 2, "2 refused: bad-trace-id")
    status, _, answer = call(harness, f"/v1/{signal}", b"")
    partial = response.FromString(answer).partial_success
    assert (status, getattr(partial, count), partial.error_message) == (200, 2, "2 refused: bad-trace-id")
    status, _, answer = call(harness, f"/v1/{signal}", b"{}", content_type=JSON)
    assert status == 200
    assert json.loads(answer) == {"partialSuccess": {json_name: "2", "errorMessage": "2 refused: bad-trace-id"}}


def test_one_bad_record_in_a_good_json_batch(harness):
    """The good spans of a JSON request are kept, the bad one is refused by name and can be replayed."""
    bad = {**SPAN_JSON, "traceId": "xyz"}
    status, _, answer = call(
        harness, "/v1/traces", traces_json(SPAN_JSON, bad, SPAN_JSON), content_type="Application/JSON; charset=UTF-8"
    )
    partial = json.loads(answer)["partialSuccess"]
    assert (status, partial["rejectedSpans"]) == (200, "1")
    assert "resourceSpans[0].scopeSpans[0].spans[1].traceId" in partial["errorMessage"]
    (export,) = harness.intake.exports
    assert len(harness.intake.messages()[0].resource_spans[0].scope_spans[0].spans) == 2
    assert json.loads(export.refused[0].record) == {"resourceSpans": [{"scopeSpans": [{"spans": [bad]}]}]}


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body, wbits=-15)),
        ("identity", bytes),
    ],
)
@pytest.mark.parametrize("size", [1, 200_000])
def test_content_encodings(harness, encoding, compress, size):
    """gzip, deflate in both forms and identity, small and large."""
    body = traces_protobuf("x" * size)
    assert call(harness, "/v1/traces", compress(body), content_encoding=encoding)[0] == 200
    assert harness.intake.exports[0].body == body


def test_large_bodies_one_after_another(harness):
    """Bodies larger than a head may be, on one connection: the bound on heads counts heads alone."""
    connection = http.client.HTTPConnection("127.0.0.1", harness.receivers.http_port, timeout=60)
    for size in (70_000, 300_000, 1_000_000) * 3:
        body = traces_protobuf("x" * size)
        connection.request("POST", "/v1/traces", body, {"content-type": PROTOBUF, "x-api-key": harness.key})
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"")
    connection.close()


def test_a_gzip_bomb_is_refused(make_harness):
    """A body that inflates past the limit is refused with the limit's name and value, and reported without its content."""
    harness = make_harness(IntakeLimits(decompressed_bytes=1_000_000))
    bomb = gzip.compress(bytes(50_000_000))
    status, _, answer = call(harness, "/v1/traces", bomb, content_encoding="gzip")
    assert status == 413
    assert "limits.decompressed_bytes = 1000000" in Status.FromString(answer).message
    ((signal, sender, content_type, size, reason, digest),) = harness.intake.undecoded
    assert (signal, sender.key_id, content_type, size) == (Signal.TRACES, "k1", PROTOBUF, len(bomb))
    assert "limits.decompressed_bytes" in reason
    assert len(digest) == 16


def test_a_body_over_its_limit_is_refused_before_it_is_read(make_harness):
    """A declared length over the limit is refused at once, though the body never comes."""
    harness = make_harness(IntakeLimits(body_bytes=1000))
    with socket.create_connection(("127.0.0.1", harness.receivers.http_port), timeout=60) as connection:
        connection.sendall(
            f"POST /v1/traces HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {harness.key}\r\n"
            f"content-type: {PROTOBUF}\r\ncontent-length: 100000\r\n\r\n".encode()
        )
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"limits.body_bytes = 1000" in answer
    assert harness.intake.undecoded[0][3] == 100_000


def test_a_body_without_a_length_is_refused_once_it_is_too_long(make_harness):
    """A chunked body is refused as soon as the limit is passed, and the connection is closed rather than read to its end."""
    harness = make_harness(IntakeLimits(body_bytes=1000))
    with socket.create_connection(("127.0.0.1", harness.receivers.http_port), timeout=60) as connection:
        connection.sendall(
            f"POST /v1/traces HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {harness.key}\r\n"
            f"content-type: {PROTOBUF}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        connection.sendall(b"7d0\r\n" + bytes(2000) + b"\r\n")
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer


def test_a_chunked_body_is_put_together(harness):
    """A body in chunks arrives whole."""
    body = traces_protobuf("y" * 300_000)
    connection = http.client.HTTPConnection("127.0.0.1", harness.receivers.http_port, timeout=60)
    headers = {"content-type": PROTOBUF, "x-api-key": harness.key}
    connection.request("POST", "/v1/traces", iter([body[:100_000], body[100_000:]]), headers, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert harness.intake.exports[0].body == body


def test_a_stalled_body_is_given_up(make_harness):
    """A body that does not arrive within the time allowed is answered with 408 and the place is free again."""
    harness = make_harness(body_seconds=0.2, max_concurrent_requests=1)
    with socket.create_connection(("127.0.0.1", harness.receivers.http_port), timeout=60) as connection:
        connection.sendall(
            f"POST /v1/traces HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {harness.key}\r\n"
            f"content-type: {PROTOBUF}\r\ncontent-length: 100\r\n\r\nabc".encode()
        )
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    body = traces_protobuf()
    with socket.create_connection(("127.0.0.1", harness.receivers.http_port), timeout=60) as connection:
        connection.sendall(  # in one piece: a head sent alone may wait for its body longer than is allowed here
            f"POST /v1/traces HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {harness.key}\r\n"
            f"content-type: {PROTOBUF}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_leaves_frees_its_place(make_harness):
    """A connection cut in the middle of a body leaves nothing behind."""
    harness = make_harness(max_concurrent_requests=1)
    with socket.create_connection(("127.0.0.1", harness.receivers.http_port), timeout=60) as connection:
        connection.sendall(
            f"POST /v1/traces HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {harness.key}\r\n"
            f"content-type: {PROTOBUF}\r\ncontent-length: 100\r\n\r\nabc".encode()
        )
    deadline = time.monotonic() + 60
    while call(harness, "/v1/traces", traces_protobuf())[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("settings", "body"),
    [
        ({"max_concurrent_requests": 1}, traces_protobuf()),
        ({"max_concurrent_bytes": 10_000}, traces_protobuf("z" * 6_000)),
    ],
)
def test_more_than_fits_at_once_is_told_to_come_back(make_harness, settings, body):
    """Requests over what may be in hand are answered with 503 and Retry-After, naming the bound, not queued."""
    harness = make_harness(**settings)
    harness.intake.hold.set()
    first = http.client.HTTPConnection("127.0.0.1", harness.receivers.http_port, timeout=60)
    headers = {"content-type": PROTOBUF, "x-api-key": harness.key}
    first.request("POST", "/v1/traces", traces_protobuf("z" * 4_000), headers)
    deadline = time.monotonic() + 60
    while harness.intake.submitted == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    status, answered, answer = call(harness, "/v1/traces", body)
    assert (status, answered["retry-after"]) == (503, "1")
    assert "in hand" in Status.FromString(answer).message
    harness.intake.hold.clear()
    assert first.getresponse().status == 200
    first.close()
    assert call(harness, "/v1/traces", traces_protobuf())[0] == 200


def test_what_supervisors_ask(harness):
    """/healthz says that the process lives, /readyz what keeps it from taking requests, /metrics what it measured."""
    assert call(harness, "/healthz", method="GET", key=None)[::2] == (200, b"alive\n")
    assert call(harness, "/readyz", method="GET", key=None)[::2] == (200, b"ready\n")
    assert call(harness, "/metrics", method="GET", key=None)[::2] == (200, b"muniment_up 1\n")
    harness.problems.extend(["journal: disk full", "control database: no answer"])
    status, _, answer = call(harness, "/readyz", method="GET", key=None)
    assert (status, answer) == (503, b"journal: disk full\ncontrol database: no answer\n")
    assert call(harness, "/healthz", method="GET", key=None)[0] == 200
    assert call(harness, "/healthz", method="HEAD", key=None)[::2] == (200, b"")


@pytest.mark.parametrize("path", ["/", "/v1/traces/", "/v1/profiles", "/V1/traces", "/internal/events"])
def test_other_paths(harness, path):
    """A path that is none of ours is 404 and names those that are."""
    status, _, answer = call(harness, path, traces_protobuf())
    assert status == 404
    assert "/v1/traces" in json.loads(answer)["message"]


def test_a_forwarded_address_is_not_believed(harness):
    """The peer is the address that the receiver saw, whatever a header claims."""
    call(harness, "/v1/traces", traces_protobuf(), x_forwarded_for="203.0.113.9", forwarded="for=203.0.113.9")
    assert harness.intake.exports[0].sender.peer.startswith("127.0.0.1:")


def test_a_head_without_end_is_cut_off(harness):
    """Headers over their bound end the connection, key or none, however they are cut into packets."""
    for head in (b"GET /healthz HTTP/1.1\r\nx-long: ", b"GET /", b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 100):
        with socket.create_connection(("127.0.0.1", harness.receivers.http_port), timeout=60) as connection:
            connection.sendall(head)
            answer = b""
            try:
                for _ in range(1000):
                    connection.sendall(b"x" * 10_000)
                answer = connection.recv(4096)
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


def test_a_connection_that_says_nothing_is_closed(make_harness, monkeypatch):
    """A connection whose first request does not come is closed; one in use stays open."""
    monkeypatch.setattr(BoundedConnection, "head_seconds", 2.0)
    harness = make_harness()
    with (
        socket.create_connection(("127.0.0.1", harness.receivers.http_port), timeout=60) as silent,
        socket.create_connection(("127.0.0.1", harness.receivers.http_port), timeout=60) as used,
    ):
        answers = used.makefile("rb")
        used.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert any(b"alive" in line for line in iter(answers.readline, b""))
        assert silent.recv(4096) == b""
        used.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert any(b"alive" in line for line in iter(answers.readline, b""))
