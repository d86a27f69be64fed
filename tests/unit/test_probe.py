"""What `muniment doctor` shows of a receiver's answer."""

import http.server
import threading

import pytest
from google.rpc.status_pb2 import Status

from collectors.probe import Target, probe


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-protobuf", Status(code=16, message="API key has ended").SerializeToString()),
        ("text/plain", b"API key has ended"),
    ],
    ids=["protobuf", "text"],
)
def test_an_error_is_shown_as_its_message(content_type, body):
    """Of a google.rpc.Status in protobuf the message is shown, without bytes around it; other answers as they are."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.send_header("content-type", content_type)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        target = Target("127.0.0.1", server.server_port, 1, "mun_x")
        steps = probe(target, trace_id=bytes(16), span_ids=(bytes(8), bytes(8)), clock=lambda: 1)
        thread.join()
    assert [(step.ok, step.detail) for step in steps] == [(False, "HTTP 401 Unauthorized: API key has ended")]
